/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation
 *
 * close(2) asks: a file of FUSE or NFS its server (FLUSH), a TCP socket with
 * SO_LINGER its peer, a pipe whoever holds its lock (a writer may fault in a
 * page of FUSE), and the last reference of a UNIX socket closes what lies
 * unread in it.  None of these can be told from harmless ones by calls that
 * surely do not wait, and whoever may connect to us can make all of them.  So
 * everything that was adopted is closed by threads that do nothing else.
 *
 * A lane is a queue with its threads, of one user and kind.  A thread begins
 * with the first descriptor, another when CLOSER_STALL_US went by and nothing
 * was closed, up to CLOSER_MAX_THREADS; then no more is taken from that user.
 * Users do not wait for each other.  Connections have a lane of their own, as
 * refusing a user means closing connections.
 *
 * The queues are linked through a table by descriptor number, so that closing
 * never needs memory.  The lock is held for a few instructions; threads touch
 * nothing but what it guards, and run no signal handler.  After closer_fini()
 * a hanging thread may still come back to the (static) lock.
 */
#include "daemon/closer.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/log.h"

/* Enough for close() and a condition; sanitizers want more. */
#define CLOSER_STACK ((size_t)256 * 1024)
#define CLOSER_POLL_US (5 * MONO_MS)
/* Half of it holds what two lines may have. */
#define CLOSER_LEAST_LIMIT ((rlim_t)4 * FD_MAX_RECEIVED)

struct closer_thread {
	struct closer_lane *lane;
	pthread_t id;
	bool started; /* and not joined */
	bool ended;
	bool busy; /* in close() */
};

struct closer_lane {
	uid_t uid;
	enum closer_kind kind;
	int first, last; /* descriptors; -1 when empty */
	size_t waiting;
	size_t busy;   /* threads in close() */
	size_t living; /* threads */
	uint64_t done;
	uint64_t seen; /* done when last looked at */
	pthread_cond_t more;
	struct closer_thread threads[CLOSER_MAX_THREADS];
};

/* By number of the descriptor. */
struct closer_place {
	uid_t uid;
	enum closer_kind kind;
	bool adopted;
	int next; /* in the lane */
};

/* Used by the loop's thread alone but for what the lock guards: the places'
 * next, and the lanes. */
static struct {
	struct loop_timer *timer;
	bool is_armed;
	struct closer_place *places;
	size_t n_places;
	size_t n_adopted; /* and not in a lane */
	size_t most;      /* of all that came from others */
	pthread_mutex_t lock;
	bool quit;
	struct closer_lane lanes[CLOSER_MAX_LANES];
} all = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void
lock(void)
{
	(void)pthread_mutex_lock(&all.lock); /* cannot fail: see its users */
}

static void
unlock(void)
{
	(void)pthread_mutex_unlock(&all.lock);
}

/* The next descriptor of a lane, or -1 when the thread should end. */
static int
next_of(struct closer_lane *l)
{
	struct timespec until;
	int fd, r = 0;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += CLOSER_LINGER_S;
	while (l->waiting == 0 && !all.quit && r == 0)
		r = pthread_cond_timedwait(&l->more, &all.lock, &until);
	if (l->waiting == 0 || all.quit)
		return -1;
	fd = l->first;
	l->first = all.places[fd].next;
	if (l->first < 0)
		l->last = -1;
	l->waiting--;
	return fd;
}

static void *
serve(void *arg)
{
	struct closer_thread *t = arg;
	struct closer_lane *l = t->lane;
	int fd;

	lock();
	while ((fd = next_of(l)) >= 0) {
		t->busy = true;
		l->busy++;
		unlock();
		(void)close(fd); /* Linux releases it whatever it returns */
		lock();
		t->busy = false;
		l->busy--;
		l->done++;
	}
	l->living--;
	t->ended = true;
	unlock();
	return NULL;
}

static int
create(struct closer_thread *t)
{
	pthread_attr_t attr;
	sigset_t every, old;
	int r = pthread_attr_init(&attr);

	if (r != 0)
		return r;
	(void)pthread_attr_setstacksize(&attr, CLOSER_STACK);
	/* Signals are the loop's. */
	(void)sigfillset(&every);
	(void)pthread_sigmask(SIG_SETMASK, &every, &old);
	r = pthread_create(&t->id, &attr, serve, t);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	(void)pthread_attr_destroy(&attr);
	return r;
}

/* One more thread.  If there cannot be one, the timer tries again. */
static void
start(struct closer_lane *l)
{
	struct closer_thread *t = NULL;
	bool is_old;

	lock();
	for (size_t i = 0; i < CLOSER_MAX_THREADS && t == NULL; i++)
		if (!l->threads[i].started || l->threads[i].ended)
			t = &l->threads[i];
	is_old = t != NULL && t->started;
	if (t != NULL)
		l->living++;
	unlock();
	if (t == NULL)
		return;
	if (is_old)
		(void)pthread_join(t->id, NULL); /* it has left */
	*t = (struct closer_thread){ .lane = l, .started = true };
	if (create(t) == 0)
		return;
	lock();
	l->living--;
	unlock();
	t->started = false;
}

static void
arm(void)
{
	if (!all.is_armed)
		loop_timer_in(all.timer, CLOSER_STALL_US);
	all.is_armed = true;
}

static void
look_at(struct closer_lane *l, bool *ret_again)
{
	bool more;

	lock();
	more = l->waiting > 0 &&
	       (l->living == 0 ||
		   (l->done == l->seen && l->living < CLOSER_MAX_THREADS));
	l->seen = l->done;
	*ret_again = *ret_again || l->waiting > 0;
	if (more && l->living + 1 == CLOSER_MAX_THREADS)
		log_warn("closer",
		    "descriptors are not closed: their file systems do not "
		    "answer uid=%u",
		    (unsigned)l->uid);
	unlock();
	if (more)
		start(l);
}

static void
on_timer(void *arg, struct mono now)
{
	bool again = false;

	(void)arg;
	(void)now;
	all.is_armed = false;
	for (size_t i = 0; i < CLOSER_MAX_LANES; i++)
		look_at(&all.lanes[i], &again);
	if (again)
		arm();
}

/* With the lock.  The lane of somebody; @ret_free: one that nobody uses, if
 * there is none. */
static struct closer_lane *
find(uid_t uid, enum closer_kind kind, struct closer_lane **ret_free)
{
	struct closer_lane *l;

	*ret_free = NULL;
	for (size_t i = 0; i < CLOSER_MAX_LANES; i++) {
		l = &all.lanes[i];
		if (l->waiting == 0 && l->busy == 0) {
			if (*ret_free == NULL)
				*ret_free = l;
		} else if (l->uid == uid && l->kind == kind)
			return l;
	}
	return NULL;
}

static struct closer_lane *
lane_for(uid_t uid, enum closer_kind kind)
{
	struct closer_lane *unused, *l = find(uid, kind, &unused);

	if (l != NULL)
		return l;
	if (unused == NULL)
		return &all.lanes[CLOSER_MAX_LANES - 1];
	unused->uid = uid;
	unused->kind = kind;
	return unused;
}

static void
push(int fd)
{
	const struct closer_place *p = &all.places[fd];
	struct closer_lane *l;
	bool none, late;

	lock();
	l = lane_for(p->uid, p->kind);
	all.places[fd].next = -1;
	if (l->last >= 0)
		all.places[l->last].next = fd;
	else
		l->first = fd;
	l->last = fd;
	l->waiting++;
	none = l->living == 0;
	late = l->waiting + l->busy > l->living;
	(void)pthread_cond_signal(&l->more);
	unlock();
	if (none)
		start(l);
	/* Also for a thread that could not begin. */
	if (none || late)
		arm();
}

/* Nothing comes in any more, and nothing lies in it? */
static bool
is_drained(int fd)
{
	char byte;

	(void)shutdown(fd, SHUT_RDWR); /* the other side may have left */
	return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0;
}

/* For fd_close(). */
static bool
take(int fd)
{
	struct closer_place *p;

	if ((size_t)fd >= all.n_places || !all.places[fd].adopted)
		return false;
	p = &all.places[fd];
	p->adopted = false;
	all.n_adopted--;
	if (p->kind == CLOSER_CONNECTION && is_drained(fd))
		return false;
	push(fd);
	return true;
}

static int
grow(size_t wanted)
{
	size_t n = wanted < 64 ? 128 : wanted * 2;
	struct closer_place *grown;

	lock();
	grown = realloc(all.places, n * sizeof(*grown));
	if (grown != NULL) {
		for (size_t i = all.n_places; i < n; i++)
			grown[i] = (struct closer_place){ .next = -1 };
		all.places = grown;
		all.n_places = n;
	}
	unlock();
	return grown != NULL ? 0 : -ENOMEM;
}

int
closer_adopt(int fd, uid_t uid, enum closer_kind kind)
{
	struct closer_place *p;

	if ((size_t)fd >= all.n_places && grow((size_t)fd + 1) < 0)
		return -ENOMEM;
	/* Not in a queue: the number was given out again. */
	p = &all.places[fd];
	p->uid = uid;
	p->kind = kind;
	all.n_adopted += p->adopted ? 0 : 1;
	p->adopted = true;
	return 0;
}

bool
closer_may_take(uid_t uid)
{
	const struct closer_lane *l;
	struct closer_lane *unused;
	size_t held = all.n_adopted;
	bool may;

	lock();
	for (size_t i = 0; i < CLOSER_MAX_LANES; i++)
		held += all.lanes[i].waiting + all.lanes[i].busy;
	l = find(uid, CLOSER_GIVEN, &unused);
	if (l == NULL && unused == NULL)
		l = &all.lanes[CLOSER_MAX_LANES - 1];
	may = l == NULL ||
	      (l->busy < CLOSER_MAX_THREADS && l->waiting < CLOSER_MAX_WAITING);
	unlock();
	return may && held + FD_MAX_RECEIVED <= all.most;
}

size_t
closer_connections(uid_t uid)
{
	const struct closer_lane *l;
	struct closer_lane *unused;
	size_t n;

	lock();
	l = find(uid, CLOSER_CONNECTION, &unused);
	n = l != NULL ? l->waiting + l->busy : 0;
	unlock();
	return n;
}

size_t
closer_waiting(enum closer_kind kind)
{
	size_t n = 0;

	lock();
	for (size_t i = 0; i < CLOSER_MAX_LANES; i++)
		if (all.lanes[i].kind == kind)
			n += all.lanes[i].waiting;
	unlock();
	return n;
}

static void
init_lane(struct closer_lane *l)
{
	pthread_condattr_t attr;

	l->first = l->last = -1;
	l->waiting = 0;
	/* None of these fails on Linux. */
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&l->more, &attr);
	(void)pthread_condattr_destroy(&attr);
}

int
closer_init(struct loop *loop)
{
	struct rlimit limit;

	all.timer = loop_timer_new(loop, on_timer, NULL);
	if (all.timer == NULL)
		return -ENOMEM;
	all.n_adopted = 0;
	all.most = SIZE_MAX;
	/* A smaller limit, which is somebody's wish, leaves no room for that.
	 */
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 &&
	    limit.rlim_cur != RLIM_INFINITY &&
	    limit.rlim_cur >= CLOSER_LEAST_LIMIT)
		all.most = (size_t)limit.rlim_cur / 2;
	all.is_armed = false;
	all.quit = false;
	for (size_t i = 0; i < CLOSER_MAX_LANES; i++)
		init_lane(&all.lanes[i]);
	fd_set_closer(take);
	return 0;
}

static bool
is_idle(void)
{
	bool idle = true;

	lock();
	for (size_t i = 0; i < CLOSER_MAX_LANES; i++)
		idle =
		    idle && all.lanes[i].waiting == 0 && all.lanes[i].busy == 0;
	unlock();
	return idle;
}

/* After quit was set: who is not in close() now never will be. */
static size_t
join(struct closer_lane *l)
{
	size_t stuck = 0;

	for (size_t i = 0; i < CLOSER_MAX_THREADS; i++) {
		struct closer_thread *t = &l->threads[i];
		bool is_busy;

		lock();
		is_busy = t->started && t->busy;
		unlock();
		if (is_busy)
			stuck++;
		else if (t->started && pthread_join(t->id, NULL) == 0)
			t->started = false;
	}
	return stuck;
}

size_t
closer_fini(void)
{
	const struct timespec pause = { 0, CLOSER_POLL_US * 1000 };
	size_t stuck = 0;

	fd_set_closer(NULL);
	if (all.timer == NULL)
		return 0;
	for (int64_t us = 0; us < CLOSER_END_US && !is_idle();
	     us += CLOSER_POLL_US)
		(void)nanosleep(&pause, NULL);
	lock();
	all.quit = true;
	for (size_t i = 0; i < CLOSER_MAX_LANES; i++)
		(void)pthread_cond_broadcast(&all.lanes[i].more);
	unlock();
	for (size_t i = 0; i < CLOSER_MAX_LANES; i++)
		stuck += join(&all.lanes[i]);
	loop_timer_free(all.timer);
	all.timer = NULL;
	free(all.places);
	all.places = NULL;
	all.n_places = 0;
	return stuck;
}
