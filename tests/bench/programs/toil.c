/* Says what it cost to get here, or to toil: lines of NAME PID NANOSECONDS on a FIFO.
 *   toil FIFO NAME                  when its first instruction ran, and as NAME/cpu what it had used until then; sleeps
 *   toil FIFO NAME compute|calls N  the processor time of N rounds of arithmetic, or of opening, reading and closing a file */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static long long now(clockid_t clock) {
    struct timespec at;
    clock_gettime(clock, &at);
    return at.tv_sec * 1000000000LL + at.tv_nsec;
}

static void compute(long rounds) {
    volatile double x = 1.0;
    for (long i = 0; i < rounds; i++)
        x = x * 1.0000001 + 1.0 / (double)(i + 1);
}

static void calls(long rounds) {
    char buffer[4096];
    struct stat about;
    for (long i = 0; i < rounds; i++) {
        int file = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
        if (file < 0 || read(file, buffer, sizeof buffer) < 0 || fstat(file, &about) < 0)
            exit(1);
        close(file);
    }
}

int main(int argc, char **argv) {
    long long at = now(CLOCK_MONOTONIC), used = now(CLOCK_PROCESS_CPUTIME_ID);
    char line[512];
    int length;
    if (argc < 5)
        length = snprintf(line, sizeof line, "%s %d %lld\n%s/cpu %d %lld\n", argv[2], getpid(), at, argv[2], getpid(), used);
    else {
        long rounds = atol(argv[4]);
        strcmp(argv[3], "calls") ? compute(rounds) : calls(rounds);
        length = snprintf(line, sizeof line, "%s %d %lld\n", argv[2], getpid(), now(CLOCK_PROCESS_CPUTIME_ID) - used);
    }
    int fifo = open(argv[1], O_WRONLY);
    if (fifo < 0 || write(fifo, line, length) != length)
        return 1;
    close(fifo);
    while (argc < 5)
        pause();
    return 0;
}
