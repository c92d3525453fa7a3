/* Writes lines of 100 bytes to stdout as printf would, in blocks of 4096; says on the FIFO when it began and when all was taken.
 *   writer FIFO BYTES */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void stamp(const char *fifo, const char *what) {
    struct timespec now;
    char line[128];
    clock_gettime(CLOCK_MONOTONIC, &now);
    int length = snprintf(line, sizeof line, "%s %d %lld\n", what, getpid(),
                          now.tv_sec * 1000000000LL + now.tv_nsec);
    int fd = open(fifo, O_WRONLY);
    if (fd < 0 || write(fd, line, length) != length)
        exit(1);
    close(fd);
}

int main(int argc, char **argv) {
    static char buffer[4096];
    char line[101];
    if (argc != 3)
        return 2;
    long long lines = atoll(argv[2]) / 100;
    setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
    memset(line, '.', 99);
    line[99] = '\n';
    stamp(argv[1], "writer-began");
    for (long long i = 0; i < lines; i++) {
        int digits = snprintf(line, 24, "%lld", i);
        line[digits] = ' ';
        if (fwrite(line, 100, 1, stdout) != 1)
            return 1;
    }
    fflush(stdout);
    stamp(argv[1], "writer-ended");
    return 0;
}
