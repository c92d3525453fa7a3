/* The agent of the benchmark: its first instruction says when it was reached, then it sleeps for ever.
 *   stamp FIFO [NAME]        NAME may be a path such as ./run: then the working directory's name counts */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    char line[256], here[4096];
    const char *name = argc > 2 ? argv[2] : "-";
    if (name[0] == '.' && getcwd(here, sizeof here))
        name = strrchr(here, '/') + 1;
    int length = snprintf(line, sizeof line, "%s %d %lld\n", name, getpid(),
                          now.tv_sec * 1000000000LL + now.tv_nsec);
    int fifo = open(argv[1], O_WRONLY);
    if (fifo < 0 || write(fifo, line, length) != length)
        return 1;
    close(fifo);
    for (;;)
        pause();
}
