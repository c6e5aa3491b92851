/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/sandbox.h"

/* Looks up name, else nobody.  Returns 0, -ENOENT or -EPERM. */
static int
find_user(const char *name, uid_t *ret_uid, gid_t *ret_gid)
{
	const struct passwd *pw;

	pw = name != NULL ? getpwnam(name) : NULL;
	if (pw == NULL)
		pw = getpwnam("nobody");
	if (pw == NULL)
		return -ENOENT;
	if (pw->pw_uid == 0 || pw->pw_gid == 0)
		return -EPERM; /* that would not be dropping */
	*ret_uid = pw->pw_uid;
	*ret_gid = pw->pw_gid;
	return 0;
}

/* What an exec could give back.  Containers may lack the right to give it up;
 * the capabilities themselves go all the same. */
static int
drop_bounding_set(void)
{
	for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0;
	     cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0 && errno != EPERM)
			return -errno;
	return 0;
}

/* setresuid() has done it unless someone set SECBIT_NO_SETUID_FIXUP. */
static int
drop_capabilities(void)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3
	};
	const struct __user_cap_data_struct none[2] = { 0 };

	return syscall(SYS_capset, &header, none) == 0 ? 0 : -errno;
}

/* Returns 0 when there is no way back. */
static int
verify(uid_t uid, gid_t gid)
{
	uid_t u[3];
	gid_t g[3];

	if (getresuid(&u[0], &u[1], &u[2]) != 0 ||
	    getresgid(&g[0], &g[1], &g[2]) != 0)
		return -errno;
	for (int i = 0; i < 3; i++)
		if (u[i] != uid || g[i] != gid)
			return -EPERM;
	return setresuid(0, 0, 0) == 0 ? -EPERM : 0;
}

int
sandbox_drop_root(const char *name)
{
	uid_t uid;
	gid_t gid;
	int r;

	if (getuid() != 0 && geteuid() != 0)
		return 0;
	r = find_user(name, &uid, &gid);
	if (r < 0)
		return r;
	r = drop_bounding_set();
	if (r < 0)
		return r;
	if (prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) != 0 ||
	    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0 ||
	    setgroups(0, NULL) != 0 || setresgid(gid, gid, gid) != 0 ||
	    setresuid(uid, uid, uid) != 0)
		return -errno;
	r = drop_capabilities();
	return r == 0 ? verify(uid, gid) : r;
}
