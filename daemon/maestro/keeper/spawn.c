/* A child that shares our memory until its exec, and is born in its control group; and what it executes where more is to be done.
 *
 * What posix_spawn(3) does, for which glibc has no control groups before 2.39 and none of cgroup v1 at all. A fork of the
 * keeper costs 2 ms more: its page tables, and each page that either of the two touches. Built where there is a compiler
 * (bin/.bootstrap); quick.py forks where this is missing.
 *
 * The parent's thread stands still until the exec. The child runs in its memory and on its stack: it may change nothing
 * there that the parent reads afterwards, and must not return. So it makes system calls only, none through the C library,
 * which keeps a note of each thread, and it never leaves this function's frame.
 *
 * What is to be done for a process that is confined takes longer than we would wait for, and some of it the kernel refuses to who
 * shares his memory. So such a child executes this very library first, which is a program as well (_start): a small process of its
 * own, which plays a tape (tape.py) of system calls. The last of them executes the agent. Nothing is linked to that program, so
 * nothing here may call the C library, and a compiler is told so: with "-nostdlib -Wl,-z,defs -fno-stack-protector".
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>

struct making {
    const char *directory;     /* of a group, that may be there already; NULL ends them */
    const char *const *limits; /* files and what is written to them where it was not; NULL ends them */
};

struct plan {
    const char *program;
    char *const *argv;
    char *const *envp;
    const char *oom;       /* text for /proc/self/oom_score_adj; NULL: as it is */
    const char *group;     /* directory of a group of cgroup v2; NULL: our own */
    const char *const *enter; /* files of groups of cgroup v1, by which it enters them; NULL ends them */
    const struct making *make; /* by who is asked to, before the child is born; NULL: none */
    const char *output;    /* a link to what stdout and stderr write to; it is opened anew */
    const int *reset;      /* signals that get their default disposition */
    const uint32_t *groups;
    uint64_t soft, hard;   /* limit on open files */
    int64_t uid, gid;      /* -1: as they are */
    int64_t owner;         /* of the output, so that it may open /dev/stdout again; -1: it stays whose it is */
    uint64_t flags;        /* more of clone(2)'s: namespaces that it is born in, whose child it is */
    int32_t player;        /* descriptor of this library, which it is to execute; -1: the program itself */
    int32_t tape, report;  /* descriptors that it is to have then */
    int32_t resetting;
    int32_t grouping;      /* how many groups; -1: as they are */
    int32_t umask;
    int32_t failed;        /* set by the child: it could not become what it was to be */
    int32_t born;          /* its pid, set by the kernel before it does anything; 0: there is none yet */
};

/* The kernel's own, which differ from the C library's. */
struct action { void *handler; unsigned long flags; void *restorer; uint64_t mask; };

#if defined(__x86_64__)
static inline long call6(long number, long a, long b, long c, long d, long e, long f) {
    register long fourth __asm__("r10") = d, fifth __asm__("r8") = e, sixth __asm__("r9") = f;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(fourth), "r"(fifth), "r"(sixth)
                     : "rcx", "r11", "memory");
    return result;
}
__asm__(".text\n.globl _start\n.hidden _start\n.type _start, @function\n_start:\n"
        "xor %ebp, %ebp\nmov %rsp, %rdi\nand $-16, %rsp\ncall maestro_play\n");
#elif defined(__aarch64__)
static inline long call6(long number, long a, long b, long c, long d, long e, long f) {
    register long x8 __asm__("x8") = number, x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d, x4 __asm__("x4") = e, x5 __asm__("x5") = f;
    __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
    return x0;
}
__asm__(".text\n.globl _start\n.hidden _start\n.type _start, %function\n_start:\n"
        "mov x29, #0\nmov x0, sp\nbl maestro_play\n");
#else
#error "not for this processor: the keeper forks"
#endif

#define P(pointer) ((long)(intptr_t)(pointer))

static inline long call(long number, long a, long b, long c, long d) {
    return call6(number, a, b, c, d, 0, 0);
}

static inline long opened(const char *path, int flags) {
    return call(SYS_openat, AT_FDCWD, P(path), flags | O_CLOEXEC, 0);
}

/* Whether all of a text could be written to a file. */
static inline int wrote(const char *path, const char *text) {
    long length = 0, written, fd = opened(path, O_WRONLY);
    while (text[length]) {
        length++;
        __asm__ volatile("" : "+r"(length)); /* or the compiler makes it a call of strlen, which is not there */
    }
    if (fd < 0)
        return 0;
    written = call(SYS_write, fd, P(text), length, 0);
    return call(SYS_close, fd, 0, 0, 0) == 0 && written == length; /* closed in any case: a starter writes more than once */
}

/* The standard streams: nothing to read, and the output by an open file of its own. */
static inline int streamed(const struct plan *plan) {
    static const char null[] = "/dev/null";
    long in = opened(null, O_RDWR), out = opened(plan->output, O_RDWR);
    return in >= 0 && out >= 0 && (plan->owner < 0 || call(SYS_fchown, out, plan->owner, -1, 0) == 0) &&
           call(SYS_dup3, in, 0, 0, 0) == 0 && call(SYS_dup3, out, 1, 0, 0) == 1 && call(SYS_dup3, out, 2, 0, 0) == 2;
}

/* Executes ourselves, with what the tape is played from: only there it outlives an exec. */
static inline void perform(const struct plan *plan) {
    static const char nothing[] = "";
    if (call(SYS_fcntl, plan->tape, F_SETFD, 0, 0) == 0 && call(SYS_fcntl, plan->report, F_SETFD, 0, 0) == 0)
        call6(SYS_execveat, plan->player, P(nothing), P(plan->argv), P(plan->envp), AT_EMPTY_PATH, 0);
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
    if (!failed && plan->player < 0)
        failed = call(SYS_prlimit64, 0, RLIMIT_NOFILE, P(&files), 0) < 0;
    if (!failed && plan->uid >= 0)
        failed = call(SYS_setresuid, plan->uid, plan->uid, plan->uid, 0) < 0;
    if (!failed)
        failed = call(SYS_chdir, P(root), 0, 0, 0) < 0;
    if (!failed) {
        call(SYS_rt_sigprocmask, SIG_SETMASK, P(&none), 0, sizeof none);
        if (plan->player >= 0)
            perform(plan);
        else
            call(SYS_execve, P(plan->program), P(plan->argv), P(plan->envp), 0);
    }
    shared->failed = 1;
    for (;;)
        call(SYS_exit_group, 127, 0, 0, 0);
}

/* Whether the keeper's idea of a plan is ours: another number wherever the plan changes, whatever its size. */
__attribute__((visibility("default"))) const uint32_t maestro_plan_version = 4;
__attribute__((visibility("default"))) const uint32_t maestro_plan_size = sizeof(struct plan);

static void bear(struct plan *plan) {
    struct clone_args how = {0};
    long group = -1;
    if (plan->grouping > 65536 || (plan->group && (group = opened(plan->group, O_PATH | O_DIRECTORY)) < 0))
        return;
    how.flags = CLONE_VM | CLONE_VFORK | CLONE_CLEAR_SIGHAND | CLONE_PARENT_SETTID | plan->flags |
                (group >= 0 ? CLONE_INTO_CGROUP : 0);
    how.parent_tid = (uint64_t)P(&plan->born);
    how.exit_signal = plan->flags & CLONE_PARENT ? 0 : SIGCHLD; /* where the kernel takes ours, it is to be told none */
    how.cgroup = group >= 0 ? (uint64_t)group : 0;
    if (call(SYS_clone3, P(&how), sizeof how, 0, 0) == 0)
        become(plan);
    if (group >= 0)
        call(SYS_close, group, 0, 0, 0);
}

/* By the keeper: returns once the child has executed or ended, or there can be none. */
__attribute__((visibility("default"))) void maestro_spawn(struct plan *plan) {
    bear(plan);
}

/* ------------------------------------------------------------------------------------------------ the tape */

#define TAPE 0x1000000000 /* where it is in the memory of who plays it: the addresses on it are true there */
#define SKIP (-1)         /* instead of a system call: nothing is done, and so all goes well */
#define HAVE (-2)         /* the same, but it fails, and any error is tolerated, where a register is negative */

struct operation {
    int16_t number;                             /* of the system call */
    int16_t result;                             /* register that gets its result, or -1 where it failed; -1: none */
    int16_t registers;                          /* a bit for each argument that is a register's number */
    int16_t then;                               /* how many are skipped if it goes well */
    struct { int16_t number, skip; } tolerated[4]; /* error numbers (0: no more; -1: any), and how many are skipped then */
    int64_t arguments[6];
};

struct tape {
    char said[4096]; /* the number of the error by which it failed, for the keeper; it is empty as long as none did */
    uint32_t version, count;
    const struct operation *operations;
    int64_t registers[];
};

static inline long number_in(const char *text) {
    long number = 0;
    while (*text)
        number = number * 10 + *text++ - '0';
    return number;
}

/* How many are skipped; a negative error number: it failed. */
static inline long tolerated(const struct operation *one, long result) {
    for (int i = 0; i < 4 && one->tolerated[i].number; i++)
        if (one->tolerated[i].number == -1 || one->tolerated[i].number == -result)
            return one->tolerated[i].skip;
    return result;
}

/* How many are skipped then; a negative error number: it failed. */
static inline long do_one(const struct operation *one, int64_t *registers) {
    const int64_t *given = one->arguments;
    long result;
#define A(n) (one->registers >> n & 1 ? registers[given[n]] : given[n])
    if (one->number == SKIP)
        return one->then;
    if (one->number == HAVE)
        return registers[given[0]] >= 0 ? one->then : one->tolerated[0].skip;
    result = call6(one->number, A(0), A(1), A(2), A(3), A(4), A(5));
#undef A
    if (one->result >= 0)
        registers[one->result] = result < 0 ? -1 : result;
    return result < 0 ? tolerated(one, result) : one->then;
}

/* Who plays a tape ends with the keeper, also with one that has ended already: then nobody reads its report. */
static inline int is_wanted(long report) {
    struct pollfd end = {(int)report, 0, 0};
    struct timespec at_once = {0, 0};
    return call(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0) == 0 && call(SYS_ppoll, P(&end), 1, P(&at_once), 0) == 0;
}

static inline long play(struct tape *tape) {
    long skip = 0;
    for (uint32_t i = 0; i < tape->count && skip >= 0; i += 1 + (uint32_t)skip)
        if ((skip = do_one(&tape->operations[i], tape->registers)) < 0)
            break;
    return -skip;
}

/* Where it can be mapped, it says what failed without a system call: its own filter may refuse those. */
static inline void say(char *to, long error) {
    for (long place = 2; place >= 0; place--, error /= 10)
        to[place] = (char)('0' + error % 10);
}

static void play_from(long report, long tape, long size) {
    long at = call6(SYS_mmap, TAPE, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE | MAP_POPULATE, tape, 0), error;
    call(SYS_close, tape, 0, 0, 0);
    if (at == TAPE && ((struct tape *)TAPE)->version == maestro_plan_version) {
        if ((error = play((struct tape *)TAPE)) > 0)
            say(((struct tape *)TAPE)->said, error);
    } else {
        char text[3];
        say(text, EPROTO);
        call(SYS_write, report, P(text), sizeof text, 0);
    }
}

/* ------------------------------------------------------------------------------------------------ a starter */

/* Where many are to be started, the keeper writes their plans into memory that it shares with processes of this program,
 * each of which makes one child after the other while the keeper goes on. They are the keeper's children, not its own. */
#define BOARD 0x2000000000 /* where it is in the memory of who carries out: the addresses in its plans are true there */
#define PLANS 4            /* there is room for, each in a page range of its own */
#define ROOM 65536         /* bytes for a plan and all that it points at; the first range is the board's own */

struct board {
    uint32_t given, done; /* how many plans so far */
};

static inline long futex(uint32_t *word, int what, uint32_t value, const struct timespec *longest) {
    return call(SYS_futex, P(word), what, value, P(longest));
}

static inline int made(const struct making *one) {
    long result = call(SYS_mkdirat, AT_FDCWD, P(one->directory), 0777, 0);
    if (result == -EEXIST)
        return 1;
    for (const char *const *file = one->limits; result == 0 && *file; file += 2)
        if (!wrote(file[0], file[1])) { /* whoever finds it has nothing more to write */
            call(SYS_unlinkat, AT_FDCWD, P(one->directory), AT_REMOVEDIR, 0);
            return 0;
        }
    return result == 0;
}

/* Those above the last are mostly there, from the process before. */
static inline int made_all(const struct making *first) {
    const struct making *one = first;
    long result;
    if (!first || !first->directory)
        return 1;
    while (one[1].directory)
        one++;
    result = call(SYS_mkdirat, AT_FDCWD, P(one->directory), 0777, 0);
    if (result != -ENOENT)
        return result == 0 || result == -EEXIST;
    for (one = first; one->directory; one++)
        if (!made(one))
            return 0;
    return 1;
}

static void carry_out(long memory, long size) {
    struct board *board = (struct board *)BOARD;
    long at = call6(SYS_mmap, BOARD, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE, memory, 0);
    call(SYS_close, memory, 0, 0, 0);
    for (uint32_t number = 0; at == BOARD; number++) {
        struct plan *plan = (struct plan *)(BOARD + ROOM * (1 + number % PLANS));
        while (__atomic_load_n(&board->given, __ATOMIC_ACQUIRE) == number)
            futex(&board->given, FUTEX_WAIT, number, NULL);
        if (made_all(plan->make))
            bear(plan);
        __atomic_store_n(&board->done, number + 1, __ATOMIC_RELEASE);
        futex(&board->done, FUTEX_WAKE, 1, NULL);
    }
}

/* By the keeper, who alone writes that number: the next plan is there. To add in one step is a call of libgcc's on ARM, and
 * that asks the C library which processor it is. */
__attribute__((visibility("default"))) void maestro_give(struct board *board) {
    __atomic_store_n(&board->given, board->given + 1, __ATOMIC_RELEASE);
    futex(&board->given, FUTEX_WAKE, 1, NULL);
}

/* By the keeper: waits until so many are done, but no longer than that; how many are. */
__attribute__((visibility("default"))) uint32_t maestro_await(struct board *board, uint32_t number, uint32_t milliseconds) {
    struct timespec longest = {milliseconds / 1000, milliseconds % 1000 * 1000000L};
    uint32_t done = __atomic_load_n(&board->done, __ATOMIC_ACQUIRE);
    if ((int32_t)(done - number) < 0) {
        futex(&board->done, FUTEX_WAIT, done, &longest);
        done = __atomic_load_n(&board->done, __ATOMIC_ACQUIRE);
    }
    return done;
}

/* The program: its arguments are descriptors of memory and for the report, and the memory's size; the keeper's pid more: it is a starter. */
__attribute__((used, noreturn, visibility("hidden"))) void maestro_play(const long *stack) {
    const char *const *argv = (const char *const *)(stack + 1);
    long report;
    if ((stack[0] == 4 || stack[0] == 5) && is_wanted(report = number_in(argv[2]))) {
        call(SYS_fcntl, report, F_SETFD, FD_CLOEXEC, 0);
        if (stack[0] == 4)
            play_from(report, number_in(argv[1]), number_in(argv[3]));
        else if (call(SYS_getppid, 0, 0, 0, 0) == number_in(argv[4])) /* or his thread is gone, and another still holds his end */
            carry_out(number_in(argv[1]), number_in(argv[3]));
    }
    call(SYS_exit_group, 127, 0, 0, 0);
    for (;;)
        __builtin_trap(); /* where a filter refuses even that */
}
