/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A bad cable for tests: passes Ethernet frames between two interfaces of its
 * namespace and delays, loses, doubles, reorders or slows them on command.
 *
 * usage: lab_shim IFACE_A IFACE_B [SEED]
 *
 * Up is from A to B.  Commands, one a line on stdin, answered on stdout:
 *
 *	set up|down|both udp|other|all KEY VALUE	-> ok
 *	stats						-> one line of JSON
 *
 * KEY: delay_us jitter_us loss_ppm dup_ppm reorder_ppm rate_bps blackhole.
 * It ends at end of file.  What is drawn depends on SEED and on the order of
 * the frames of each direction alone.
 *
 * Theory of operation: a frame is received into a slot of a fixed pool.  One
 * that is due at once goes out with its batch; another waits in the heap of its
 * direction, ordered by time and then by arrival.  When the pool is empty the
 * frame is lost, as on a full queue.  The other ends of both interfaces must
 * not offload: a frame here is a packet there.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FRAME_MAX 2048 /* MTU 1500 and headers, nothing offloaded */
#define POOL 32768     /* frames on the way: 250 ms at 1.5 Gb/s */
#define BATCH 64
#define SOCKET_BUFFER (16 << 20)
#define QUEUE_NS 100000000ULL /* longest queue of a slow link */
#define REORDER_NS 3000000ULL /* how far a reordered frame falls behind */
#define MILLION 1000000ULL
#define SECOND_NS 1000000000ULL

enum { UP, DOWN, N_WAYS };
enum { UDP, OTHER, N_CLASSES };
enum key {
	DELAY_US,
	JITTER_US,
	LOSS_PPM,
	DUP_PPM,
	REORDER_PPM,
	RATE_BPS,
	BLACKHOLE,
	N_KEYS
};

static const char *const key_names[N_KEYS] = { "delay_us", "jitter_us",
	"loss_ppm", "dup_ppm", "reorder_ppm", "rate_bps", "blackhole" };

struct waiting {
	uint64_t due; /* ns */
	uint64_t order;
	uint32_t slot;
};

struct way {
	int in;
	int out;
	uint64_t random;
	uint64_t order;
	uint64_t idle_at; /* ns: when the slow link has sent all it was given */
	uint64_t rules[N_CLASSES][N_KEYS];
	struct waiting *heap; /* POOL entries */
	size_t n_heap;
	uint32_t now[BATCH * 2]; /* slots that go out with this batch */
	size_t n_now;
	uint64_t passed, lost, doubled, overflowed;
};

static uint8_t (*frames)[FRAME_MAX];
static uint16_t lens[POOL];
static uint32_t free_slots[POOL];
static size_t n_free;
static struct way ways[N_WAYS];

static void
die(const char *what)
{
	fprintf(stderr, "lab_shim: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t
clock_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * SECOND_NS + (uint64_t)ts.tv_nsec;
}

/* xorshift64*; 0 .. n - 1 */
static uint64_t
draw(struct way *w, uint64_t n)
{
	w->random ^= w->random >> 12;
	w->random ^= w->random << 25;
	w->random ^= w->random >> 27;
	return ((w->random * 0x2545f4914f6cdd1dULL) >> 16) % n;
}

static bool
happens(struct way *w, uint64_t ppm)
{
	return ppm > 0 && draw(w, MILLION) < ppm;
}

static int
open_interface(const char *name)
{
	struct sockaddr_ll sa = { .sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)if_nametoindex(name) };
	struct packet_mreq all = { .mr_ifindex = sa.sll_ifindex,
		.mr_type = PACKET_MR_PROMISC };
	int one = 1, size = SOCKET_BUFFER;
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 || sa.sll_ifindex == 0)
		die(name);
	if (setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one,
		sizeof(one)) != 0 ||
	    setsockopt(
		fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)) != 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all,
		sizeof(all)) != 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) !=
		0 ||
	    bind(fd, (struct sockaddr *)&sa, sizeof(sa)) != 0)
		die(name);
	return fd;
}

static bool
before(const struct waiting *a, const struct waiting *b)
{
	return a->due != b->due ? a->due < b->due : a->order < b->order;
}

static void
heap_push(struct way *w, uint64_t due, uint32_t slot)
{
	struct waiting x = { due, w->order++, slot };
	size_t i = w->n_heap++;

	while (i > 0 && before(&x, &w->heap[(i - 1) / 2])) {
		w->heap[i] = w->heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	w->heap[i] = x;
}

static uint32_t
heap_pop(struct way *w)
{
	uint32_t slot = w->heap[0].slot;
	struct waiting x = w->heap[--w->n_heap];
	size_t i = 0, child;

	while ((child = 2 * i + 1) < w->n_heap) {
		if (child + 1 < w->n_heap &&
		    before(&w->heap[child + 1], &w->heap[child]))
			child++;
		if (!before(&w->heap[child], &x))
			break;
		w->heap[i] = w->heap[child];
		i = child;
	}
	w->heap[i] = x;
	return slot;
}

static int
class_of(const uint8_t *frame, size_t len)
{
	unsigned type;

	if (len < ETH_HLEN + 20)
		return OTHER;
	type = (unsigned)frame[12] << 8 | frame[13];
	if (type == ETH_P_IP)
		return frame[ETH_HLEN + 9] == IPPROTO_UDP ? UDP : OTHER;
	if (type == ETH_P_IPV6)
		return frame[ETH_HLEN + 6] == IPPROTO_UDP ? UDP : OTHER;
	return OTHER;
}

/* When a frame leaves, by the rules; 0: at once, UINT64_MAX: the queue of the
 * slow link is full. */
static uint64_t
due_of(struct way *w, const uint64_t *rule, uint64_t now, size_t len)
{
	uint64_t due = now;

	if (rule[RATE_BPS] > 0) {
		if (w->idle_at < now)
			w->idle_at = now;
		if (w->idle_at - now > QUEUE_NS)
			return UINT64_MAX;
		w->idle_at += len * 8 * SECOND_NS / rule[RATE_BPS];
		due = w->idle_at;
	}
	due += rule[DELAY_US] * 1000;
	if (rule[JITTER_US] > 0)
		due += draw(w, rule[JITTER_US]) * 1000;
	if (happens(w, rule[REORDER_PPM]))
		due += REORDER_NS;
	/* What waits already leaves first. */
	return due == now && w->n_heap == 0 ? 0 : due;
}

static void
dispose(uint32_t slot)
{
	free_slots[n_free++] = slot;
}

static void
place(struct way *w, uint64_t due, uint32_t slot)
{
	if (due == 0)
		w->now[w->n_now++] = slot;
	else if (due == UINT64_MAX) {
		w->overflowed++;
		dispose(slot);
	} else
		heap_push(w, due, slot);
}

static void
judge(struct way *w, uint64_t now, uint32_t slot)
{
	const uint64_t *rule = w->rules[class_of(frames[slot], lens[slot])];
	uint32_t copy;

	if (rule[BLACKHOLE] != 0 || happens(w, rule[LOSS_PPM])) {
		w->lost++;
		dispose(slot);
		return;
	}
	if (happens(w, rule[DUP_PPM]) && n_free > 0) {
		copy = free_slots[--n_free];
		memcpy(frames[copy], frames[slot], lens[slot]);
		lens[copy] = lens[slot];
		w->doubled++;
		place(w, due_of(w, rule, now, lens[copy]), copy);
	}
	place(w, due_of(w, rule, now, lens[slot]), slot);
}

/* Send the slots of this batch; what the interface does not take is lost. */
static void
flush(struct way *w)
{
	struct mmsghdr msgs[BATCH * 2];
	struct iovec iov[BATCH * 2];
	int sent;

	for (size_t i = 0; i < w->n_now; i++) {
		iov[i] = (struct iovec){ frames[w->now[i]], lens[w->now[i]] };
		msgs[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &iov[i],
						.msg_iovlen = 1 } };
	}
	for (size_t i = 0; i < w->n_now; i += (size_t)sent) {
		sent = sendmmsg(w->out, msgs + i, (unsigned)(w->n_now - i), 0);
		if (sent <= 0) {
			w->overflowed++;
			sent = 1;
		} else
			w->passed += (uint64_t)sent;
	}
	for (size_t i = 0; i < w->n_now; i++)
		dispose(w->now[i]);
	w->n_now = 0;
}

/* Returns how many frames came. */
static size_t
receive(struct way *w)
{
	struct mmsghdr msgs[BATCH];
	struct iovec iov[BATCH];
	uint32_t slots[BATCH];
	uint64_t now;
	size_t n = 0;
	int got;

	while (n < BATCH && n_free > 0) {
		slots[n] = free_slots[--n_free];
		iov[n] = (struct iovec){ frames[slots[n]], FRAME_MAX };
		msgs[n] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &iov[n],
						.msg_iovlen = 1 } };
		n++;
	}
	got = n > 0 ? recvmmsg(w->in, msgs, (unsigned)n, MSG_TRUNC, NULL) : 0;
	if (got < 0)
		got = 0;
	for (size_t i = (size_t)got; i < n; i++)
		dispose(slots[i]);
	now = clock_ns();
	for (int i = 0; i < got; i++) {
		if (msgs[i].msg_len > FRAME_MAX) {
			w->overflowed++;
			dispose(slots[i]);
			continue;
		}
		lens[slots[i]] = (uint16_t)msgs[i].msg_len;
		judge(w, now, slots[i]);
	}
	flush(w);
	return (size_t)got;
}

static void
release(struct way *w, uint64_t now)
{
	while (w->n_heap > 0 && w->heap[0].due <= now) {
		w->now[w->n_now++] = heap_pop(w);
		if (w->n_now == BATCH)
			flush(w);
	}
	flush(w);
}

static bool
names(const char *word, const char *name, const char *every)
{
	return strcmp(word, name) == 0 || strcmp(word, every) == 0;
}

/* 0 or -1 */
static int
set_rule(const char *way, const char *class, const char *key, uint64_t value)
{
	static const char *const way_names[] = { "up", "down" };
	static const char *const class_names[] = { "udp", "other" };
	int k = 0, n_set = 0;

	while (k < N_KEYS && strcmp(key, key_names[k]) != 0)
		k++;
	for (int i = 0; k < N_KEYS && i < N_WAYS * N_CLASSES; i++) {
		int d = i / N_CLASSES, c = i % N_CLASSES;

		if (names(way, way_names[d], "both") &&
		    names(class, class_names[c], "all")) {
			ways[d].rules[c][k] = value;
			n_set++;
		}
	}
	return n_set > 0 ? 0 : -1;
}

static void
command(const char *line)
{
	char way[8], class[8], key[16];
	unsigned long long value;

	if (strcmp(line, "stats") == 0) {
		for (int d = 0; d < N_WAYS; d++)
			printf("%s\"%s\": {\"passed\": %llu, \"lost\": %llu, "
			       "\"doubled\": %llu, \"overflowed\": %llu}%s",
			    d == UP ? "{" : ", ", d == UP ? "up" : "down",
			    (unsigned long long)ways[d].passed,
			    (unsigned long long)ways[d].lost,
			    (unsigned long long)ways[d].doubled,
			    (unsigned long long)ways[d].overflowed,
			    d == DOWN ? "}\n" : "");
	} else if (sscanf(line, "set %7s %7s %15s %llu", way, class, key,
		       &value) == 4 &&
		   set_rule(way, class, key, value) == 0)
		puts("ok");
	else
		puts("error");
	fflush(stdout);
}

static void
read_commands(void)
{
	static char text[4096];
	static size_t used;
	ssize_t n = read(STDIN_FILENO, text + used, sizeof(text) - used);
	char *end;

	if (n == 0 || used + (size_t)(n > 0 ? n : 0) == sizeof(text))
		exit(0);
	if (n < 0)
		return;
	used += (size_t)n;
	while ((end = memchr(text, '\n', used)) != NULL) {
		*end = '\0';
		command(text);
		used -= (size_t)(end + 1 - text);
		memmove(text, end + 1, used);
	}
}

static void
set_up(const char *a, const char *b, uint64_t seed)
{
	int fds[N_WAYS] = { open_interface(a), open_interface(b) };

	frames = malloc(sizeof(*frames) * POOL);
	for (int d = 0; d < N_WAYS; d++) {
		ways[d].in = fds[d];
		ways[d].out = fds[1 - d];
		/* Any seed but zero is good for the generator. */
		ways[d].random =
		    (seed * 2 + (uint64_t)d) * 0x9e3779b97f4a7c15 | 1;
		ways[d].heap = malloc(sizeof(*ways[d].heap) * POOL);
		if (frames == NULL || ways[d].heap == NULL)
			die("malloc");
	}
	for (uint32_t i = 0; i < POOL; i++)
		dispose(i);
	if (fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK) != 0)
		die("stdin");
}

static struct timespec
until_next(uint64_t now)
{
	uint64_t next = now + SECOND_NS;

	for (int d = 0; d < N_WAYS; d++)
		if (ways[d].n_heap > 0 && ways[d].heap[0].due < next)
			next = ways[d].heap[0].due;
	next = next > now ? next - now : 0;
	return (struct timespec){ (time_t)(next / SECOND_NS),
		(long)(next % SECOND_NS) };
}

int
main(int argc, char **argv)
{
	if (argc < 3 || argc > 4) {
		fprintf(stderr, "usage: lab_shim IFACE_A IFACE_B [SEED]\n");
		return 2;
	}
	set_up(argv[1], argv[2], argc == 4 ? strtoull(argv[3], NULL, 10) : 1);
	puts("ready");
	fflush(stdout);
	for (;;) {
		struct pollfd fds[3] = { { ways[UP].in, POLLIN, 0 },
			{ ways[DOWN].in, POLLIN, 0 },
			{ STDIN_FILENO, POLLIN, 0 } };
		struct timespec wait = until_next(clock_ns());

		if (ppoll(fds, 3, &wait, NULL) < 0 && errno != EINTR)
			die("ppoll");
		if (fds[2].revents != 0)
			read_commands();
		for (int d = 0; d < N_WAYS; d++) {
			if (fds[d].revents != 0)
				(void)receive(&ways[d]);
			release(&ways[d], clock_ns());
		}
	}
}
