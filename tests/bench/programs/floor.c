/* The least that a supervisor can do: start N copies in a loop, and each one that ends again. No logs, no sandbox, no memory.
 *   floor N PROGRAM FIFO     starts at SIGUSR1, stops all at SIGTERM */
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
static volatile sig_atomic_t over;
static pid_t *pids;
static int count;

static void end(int number) {
    (void)number;
    over = 1;
    for (int i = 0; i < count; i++)
        if (pids[i] > 0)
            kill(pids[i], SIGTERM);
}

static void begin(int i, char **argv) {
    char name[32];
    snprintf(name, sizeof name, "x%04d", i);
    char *child[] = {argv[2], argv[3], name, NULL};
    if (posix_spawn(&pids[i], argv[2], NULL, NULL, child, environ))
        exit(1);
}

int main(int argc, char **argv) {
    sigset_t usr1;
    int number;
    if (argc != 4)
        return 2;
    count = atoi(argv[1]);
    pids = calloc(count, sizeof *pids);
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    sigprocmask(SIG_BLOCK, &usr1, NULL);
    signal(SIGTERM, end);
    sigwait(&usr1, &number);
    sigprocmask(SIG_UNBLOCK, &usr1, NULL);
    for (int i = 0; i < count; i++)
        begin(i, argv);
    for (pid_t pid; (pid = waitpid(-1, NULL, 0)) > 0;)
        for (int i = 0; !over && i < count; i++)
            if (pids[i] == pid) {
                begin(i, argv);
                break;
            }
    return 0;
}
