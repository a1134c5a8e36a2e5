/** The program at both ends of a connection that is measured: so small that what is between them is most of the time. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * `serve PORT`: gives each byte back, one connection at a time; `answer PORT`: each datagram. `connections|pings HOST PORT COUNT`: one after the
 * other; prints nanoseconds of each. The same of datagrams, of bytes in hexadecimal: `sockets|datagrams HOST PORT COUNT BYTES`: by a connected
 * socket each, as resolvers do, or all by one that is not; `window`: by 32 sockets at once, and the first line is what all took.
 */
const source = `
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
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
static int bytes(const char *hex, unsigned char *to) {
  int size = strlen(hex) / 2;
  for (int i = 0; i < size; i++) sscanf(hex + 2 * i, "%2hhx", to + i);
  return size;
}
static int udp(void) {
  struct timeval patience = { 5, 0 };
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  if (fd < 0) fail("socket");
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  return fd;
}
static int dialled(struct sockaddr_in *to) {
  int fd = udp();
  if (connect(fd, (struct sockaddr *)to, sizeof *to) != 0) fail("connect");
  return fd;
}
static void answer(struct sockaddr_in *at) {
  unsigned char data[2048];
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  if (bind(fd, (struct sockaddr *)at, sizeof *at) != 0) fail("bind");
  puts("ready");
  fflush(stdout);
  for (;;) {
    struct sockaddr_in from;
    socklen_t length = sizeof from;
    ssize_t size = recvfrom(fd, data, sizeof data, 0, (struct sockaddr *)&from, &length);
    if (size >= 0) sendto(fd, data, size, 0, (struct sockaddr *)&from, length);
  }
}
static void ask_each(struct sockaddr_in *to, int count, int is_connected, const char *hex) {
  unsigned char data[512], got[2048];
  int size = bytes(hex, data), fd = is_connected ? -1 : udp();
  for (int i = 0; i < count; i++) {
    long long start = now();
    if (is_connected) {
      fd = dialled(to);
      if (send(fd, data, size, 0) != size || recv(fd, got, sizeof got, 0) < 0) fail("ask");
      close(fd);
    } else {
      struct sockaddr_in from;
      socklen_t length = sizeof from;
      if (sendto(fd, data, size, 0, (struct sockaddr *)to, sizeof *to) != size) fail("send");
      if (recvfrom(fd, got, sizeof got, 0, (struct sockaddr *)&from, &length) < 0) fail("receive");
      if (from.sin_addr.s_addr != to->sin_addr.s_addr || from.sin_port != to->sin_port) fail("a stranger's answer");
    }
    printf("%lld\\n", now() - start);
  }
}
enum { width = 32 };
static void ask_window(struct sockaddr_in *to, int count, const char *hex) {
  unsigned char data[512], got[2048];
  int size = bytes(hex, data), sent = 0, done = 0;
  long long started[width], *took = calloc(count, sizeof *took), begin = now();
  struct pollfd waited[width];
  for (int i = 0; i < width; i++) {
    waited[i] = (struct pollfd){ dialled(to), POLLIN, 0 };
    if (sent++ >= count) continue;
    started[i] = now();
    if (send(waited[i].fd, data, size, 0) != size) fail("ask");
  }
  while (done < count) {
    if (poll(waited, width, 5000) <= 0) fail("wait");
    for (int i = 0; i < width && done < count; i++) {
      if (!(waited[i].revents & POLLIN) || recv(waited[i].fd, got, sizeof got, 0) < 0) continue;
      took[done++] = now() - started[i];
      if (sent++ >= count) continue;
      started[i] = now();
      if (send(waited[i].fd, data, size, 0) != size) fail("ask");
    }
  }
  printf("%lld\\n", now() - begin);
  for (int i = 0; i < count; i++) printf("%lld\\n", took[i]);
}
int main(int argc, char **argv) {
  struct sockaddr_in at = { .sin_family = AF_INET };
  if (strcmp(argv[1], "answer") == 0) {
    at.sin_port = htons(atoi(argv[2]));
    answer(&at);
  }
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
  if (argc > 5) {
    if (strcmp(argv[1], "window") == 0) ask_window(&at, count, argv[5]);
    else ask_each(&at, count, strcmp(argv[1], "sockets") == 0, argv[5]);
    return 0;
  }
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
