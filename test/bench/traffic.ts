/** The program at both ends of a connection that is measured: so small that what is between them is most of the time. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** `serve PORT`: gives each byte back, one connection at a time. `connections|pings HOST PORT COUNT`: one after the other; prints nanoseconds of each. */
const source = `
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
static long long now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}
static void fail(const char *what) { perror(what); exit(1); }
static void tune(int fd) {
  int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}
static void ping(int fd) {
  char byte = 'x';
  if (write(fd, &byte, 1) != 1 || read(fd, &byte, 1) != 1) fail("ping");
}
static int dial(struct sockaddr_in *to) {
  struct linger now_then = { 1, 0 };
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0 || connect(fd, (struct sockaddr *)to, sizeof *to) != 0) fail("connect");
  tune(fd);
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &now_then, sizeof now_then);
  return fd;
}
int main(int argc, char **argv) {
  struct sockaddr_in at = { .sin_family = AF_INET };
  if (strcmp(argv[1], "serve") == 0) {
    int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    at.sin_port = htons(atoi(argv[2]));
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 128) != 0) fail("listen");
    puts("ready");
    fflush(stdout);
    for (;;) {
      int peer = accept(fd, NULL, NULL);
      char byte;
      if (peer < 0) continue;
      tune(peer);
      while (read(peer, &byte, 1) == 1 && write(peer, &byte, 1) == 1);
      close(peer);
    }
  }
  inet_pton(AF_INET, argv[2], &at.sin_addr);
  at.sin_port = htons(atoi(argv[3]));
  int count = atoi(argv[4]);
  if (strcmp(argv[1], "pings") == 0) {
    int fd = dial(&at);
    for (int i = 0; i < 100; i++) ping(fd);
    for (int i = 0; i < count; i++) {
      long long start = now();
      ping(fd);
      printf("%lld\\n", now() - start);
    }
    return 0;
  }
  for (int i = 0; i < count; i++) {
    long long start = now();
    int fd = dial(&at);
    ping(fd);
    close(fd);
    printf("%lld\\n", now() - start);
  }
  return 0;
}
`;

/** Compiles it into `<directory>/traffic`. */
export function buildTraffic(directory: string): string {
  const path = join(directory, 'traffic');
  writeFileSync(`${path}.c`, source);
  execFileSync('gcc', ['-O2', '-static', '-o', path, `${path}.c`]);
  return path;
}
