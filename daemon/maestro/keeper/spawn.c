/* A child that shares our memory until its exec, and is born in its control group.
 *
 * What posix_spawn(3) does, for which glibc has no control groups before 2.39 and none of cgroup v1 at all. A fork of the
 * keeper costs 2 ms more: its page tables, and each page that either of the two touches. Built where there is a compiler
 * (bin/.bootstrap); quick.py forks where this is missing.
 *
 * The parent's thread stands still until the exec. The child runs in its memory and on its stack: it may change nothing
 * there that the parent reads afterwards, and must not return. So it makes system calls only, none through the C library,
 * which keeps a note of each thread, and it never leaves this function's frame.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>

struct plan {
    const char *program;
    char *const *argv;
    char *const *envp;
    const char *oom;       /* text for /proc/self/oom_score_adj; NULL: as it is */
    const char *group;     /* directory of a group of cgroup v2; NULL: our own */
    const char *const *enter; /* files of groups of cgroup v1, by which it enters them; NULL ends them */
    const char *output;    /* a link to what stdout and stderr write to; it is opened anew */
    const int *reset;      /* signals that get their default disposition */
    const uint32_t *groups;
    uint64_t soft, hard;   /* limit on open files */
    int64_t uid, gid;      /* -1: as they are */
    int64_t owner;         /* of the output, so that it may open /dev/stdout again */
    int32_t resetting;
    int32_t grouping;      /* how many groups; -1: as they are */
    int32_t umask;
    int32_t failed;        /* set by the child: it could not become what it was to be */
};

/* The kernel's own, which differ from the C library's. */
struct action { void *handler; unsigned long flags; void *restorer; uint64_t mask; };

#if defined(__x86_64__)
static inline long call(long number, long a, long b, long c, long d) {
    register long fourth __asm__("r10") = d;
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(fourth) : "rcx", "r11", "memory");
    return result;
}
#elif defined(__aarch64__)
static inline long call(long number, long a, long b, long c, long d) {
    register long x8 __asm__("x8") = number, x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
    return x0;
}
#else
#error "not for this processor: the keeper forks"
#endif

#define P(pointer) ((long)(intptr_t)(pointer))

static inline long opened(const char *path, int flags) {
    return call(SYS_openat, AT_FDCWD, P(path), flags | O_CLOEXEC, 0);
}

/* Whether all of a text could be written to a file. */
static inline int wrote(const char *path, const char *text) {
    long length = 0, fd = opened(path, O_WRONLY);
    while (text[length])
        length++;
    return fd >= 0 && call(SYS_write, fd, P(text), length, 0) == length && call(SYS_close, fd, 0, 0, 0) == 0;
}

/* The standard streams: nothing to read, and the output by an open file of its own. */
static inline int streamed(const struct plan *plan) {
    static const char null[] = "/dev/null";
    long in = opened(null, O_RDWR), out = opened(plan->output, O_RDWR);
    return in >= 0 && out >= 0 && call(SYS_fchown, out, plan->owner, -1, 0) == 0 && call(SYS_dup3, in, 0, 0, 0) == 0 &&
           call(SYS_dup3, out, 1, 0, 0) == 1 && call(SYS_dup3, out, 2, 0, 0) == 2;
}

/* Never returns. What fails is not said here: the keeper then forks a child, which does it again and says it in words. */
static __attribute__((noreturn, noinline)) void become(volatile struct plan *shared) {
    const struct plan *plan = (const struct plan *)shared;
    static const char self[] = "0", score[] = "/proc/self/oom_score_adj", root[] = "/";
    uint64_t none = 0;
    struct action plain = {0};
    struct rlimit files = {plan->soft, plan->hard};
    long failed = call(SYS_setsid, 0, 0, 0, 0) < 0;
    for (const char *const *file = plan->enter; *file && !failed; file++)
        failed = !wrote(*file, self);
    if (plan->oom && !failed)
        failed = !wrote(score, plan->oom);
    for (int i = 0; i < plan->resetting && !failed; i++)
        failed = call(SYS_rt_sigaction, plan->reset[i], P(&plain), 0, sizeof none) < 0;
    call(SYS_umask, plan->umask, 0, 0, 0);
    if (!failed)
        failed = !streamed(plan);
    if (!failed && plan->grouping >= 0)
        failed = call(SYS_setgroups, plan->grouping, P(plan->groups), 0, 0) < 0;
    if (!failed && plan->gid >= 0)
        failed = call(SYS_setresgid, plan->gid, plan->gid, plan->gid, 0) < 0;
    if (!failed)
        failed = call(SYS_prlimit64, 0, RLIMIT_NOFILE, P(&files), 0) < 0;
    if (!failed && plan->uid >= 0)
        failed = call(SYS_setresuid, plan->uid, plan->uid, plan->uid, 0) < 0;
    if (!failed)
        failed = call(SYS_chdir, P(root), 0, 0, 0) < 0;
    if (!failed) {
        call(SYS_rt_sigprocmask, SIG_SETMASK, P(&none), 0, sizeof none);
        call(SYS_execve, P(plan->program), P(plan->argv), P(plan->envp), 0);
    }
    shared->failed = 1;
    for (;;)
        call(SYS_exit_group, 127, 0, 0, 0);
}

/* Whether the keeper's idea of a plan is ours: another number wherever the plan changes, whatever its size. */
__attribute__((visibility("default"))) const uint32_t maestro_plan_version = 2;
__attribute__((visibility("default"))) const uint32_t maestro_plan_size = sizeof(struct plan);

/* The pid of the child once it has executed or ended; or a negative error number, and then there was none. */
__attribute__((visibility("default"))) int maestro_spawn(struct plan *plan) {
    struct clone_args how = {0};
    long pid, group = -1;
    if (plan->grouping > 65536)
        return -EINVAL;
    if (plan->group && (group = opened(plan->group, O_PATH | O_DIRECTORY)) < 0)
        return (int)group;
    how.flags = CLONE_VM | CLONE_VFORK | CLONE_CLEAR_SIGHAND | (group >= 0 ? CLONE_INTO_CGROUP : 0);
    how.exit_signal = SIGCHLD;
    how.cgroup = group >= 0 ? (uint64_t)group : 0;
    pid = call(SYS_clone3, P(&how), sizeof how, 0, 0);
    if (pid == 0)
        become(plan);
    if (group >= 0)
        call(SYS_close, group, 0, 0, 0);
    return (int)pid;
}
