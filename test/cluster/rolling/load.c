/*
 * A web server as programs are (told to stop, it takes no more connections, finishes what it has and ends), and a client that asks it so
 * many times a second and counts every request that was not answered in full. Linux, no library but the C library, one thread.
 *
 *   load serve PORT NAME
 *   load ask HOST PORT RATE SECONDS KEEP     RATE requests a second, KEEP 0: a connection for each
 *   load send HOST PORT RATE SECONDS         UDP, from one socket, until a second after another answers; prints how many did, and the
 *                                            longest silence
 *   load echo PORT NAME                      UDP: NAME to whoever sends
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { IN_FLIGHT_MAX = 2048, CONNECTIONS_MAX = 4096, BUFFER = 1024, TIMEOUT_MS = 5000, ERRORS_MAX = 200 };

static volatile sig_atomic_t stopping;
static void on_term(int sig) { (void)sig; stopping = 1; }

static uint64_t now_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

static void die(const char *what) {
  perror(what);
  exit(1);
}

static void watch(int ep, int op, int fd, uint32_t events, uint64_t data) {
  struct epoll_event e = {.events = events, .data.u64 = data};
  if (epoll_ctl(ep, op, fd, &e) < 0) die("epoll_ctl");
}

/* ---- serve ---- */

struct peer { char buffer[BUFFER]; int used; int open; };
static struct peer peers[CONNECTIONS_MAX];
static int open_count;

static void drop(int fd) {
  if (peers[fd].open) open_count--;
  peers[fd].open = 0;
  peers[fd].used = 0;
  close(fd);
}

static void answer(int fd, const char *name) {
  struct peer *p = &peers[fd];
  for (;;) {
    ssize_t n = read(fd, p->buffer + p->used, (size_t)(BUFFER - 1 - p->used));
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) { drop(fd); return; }
    p->used += (int)n;
    p->buffer[p->used] = 0;
    if (strstr(p->buffer, "\r\n\r\n") == NULL) {
      if (p->used == BUFFER - 1) { drop(fd); return; }
      continue;
    }
    int ends = stopping || strcasestr(p->buffer, "connection: close") != NULL;
    char out[BUFFER];
    int length = snprintf(out, sizeof out, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n%s\r\n%s", strlen(name),
                          ends ? "Connection: close\r\n" : "", name);
    if (write(fd, out, (size_t)length) != length || ends) { drop(fd); return; }
    p->used = 0;
  }
}

static int serve(int port, const char *name) {
  int one = 1, ep = epoll_create1(0), listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(listener, (struct sockaddr *)&at, sizeof at) < 0 || listen(listener, 1024) < 0) die("listen");
  struct sigaction act = {.sa_handler = on_term};
  sigset_t held, none;
  sigaction(SIGTERM, &act, NULL);
  sigaction(SIGINT, &act, NULL);
  signal(SIGPIPE, SIG_IGN);
  sigemptyset(&none);
  sigemptyset(&held);
  sigaddset(&held, SIGTERM);
  sigaddset(&held, SIGINT);
  sigprocmask(SIG_BLOCK, &held, NULL); /* Only epoll_pwait hears it. */
  watch(ep, EPOLL_CTL_ADD, listener, EPOLLIN, (uint64_t)listener);
  uint64_t until = 0;
  for (;;) {
    if (stopping && listener >= 0) {
      close(listener); /* Whoever is in its queue is reset, as with most servers. */
      listener = -1;
      until = now_us() + 10000000u;
    }
    if (listener < 0 && (open_count == 0 || now_us() > until)) return 0;
    struct epoll_event events[256];
    int count = epoll_pwait(ep, events, 256, listener < 0 ? 100 : -1, &none);
    for (int i = 0; i < count; i++) {
      int fd = (int)events[i].data.u64;
      if (fd != listener) { answer(fd, name); continue; }
      for (int got; (got = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
        if (got >= CONNECTIONS_MAX) { close(got); continue; }
        setsockopt(got, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        peers[got].open = 1;
        open_count++;
        watch(ep, EPOLL_CTL_ADD, got, EPOLLIN, (uint64_t)got);
      }
    }
  }
}

/* ---- ask ---- */

struct call { int fd; int busy; int sent; int used; int uses; uint64_t since; char buffer[BUFFER]; };
static struct call calls[IN_FLIGHT_MAX];
static long asked, answered, failed, late, shown;
static struct sockaddr_in target;

static void fail(struct call *c, const char *how, int error, uint64_t start) {
  failed++;
  if (shown++ < ERRORS_MAX)
    fprintf(stderr, "%llu ms: %s: %s (request %d of its connection, after %llu ms)\n",
            (unsigned long long)((now_us() - start) / 1000), how, error ? strerror(error) : "-", c->uses + 1,
            (unsigned long long)((now_us() - c->since) / 1000));
  close(c->fd);
  c->fd = -1;
  c->busy = 0;
}

/* Whether the whole answer is there; *ends: the server closes. */
static int is_whole(struct call *c, int *ends) {
  c->buffer[c->used] = 0;
  char *body = strstr(c->buffer, "\r\n\r\n"), *length = strcasestr(c->buffer, "content-length: ");
  if (body == NULL || length == NULL) return 0;
  *ends = strcasestr(c->buffer, "connection: close") != NULL;
  return c->used - (int)(body + 4 - c->buffer) >= atoi(length + 16);
}

static void begin(int ep, int index, uint64_t start) {
  struct call *c = &calls[index];
  int one = 1;
  c->busy = 1;
  c->sent = 0;
  c->used = 0;
  c->since = now_us();
  asked++;
  static const char again[] = "GET / HTTP/1.1\r\nHost: web\r\n\r\n";
  if (c->fd >= 0) {
    if (write(c->fd, again, sizeof again - 1) != (ssize_t)sizeof again - 1) { fail(c, "write", errno, start); return; }
    c->sent = 1;
    return;
  }
  c->uses = 0;
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (c->fd < 0) die("socket");
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (connect(c->fd, (struct sockaddr *)&target, sizeof target) < 0 && errno != EINPROGRESS) {
    fail(c, "connect", errno, start);
    return;
  }
  watch(ep, EPOLL_CTL_ADD, c->fd, EPOLLIN | EPOLLOUT, (uint64_t)index);
}

static void go_on(int ep, int index, int keeps, uint64_t start) {
  struct call *c = &calls[index];
  int error = 0, ends = 0;
  socklen_t length = sizeof error;
  if (c->fd < 0) return;
  if (!c->sent) {
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &length);
    if (error) { fail(c, "connect", error, start); return; }
    char text[128];
    int size = snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: web\r\n%s\r\n", keeps ? "" : "Connection: close\r\n");
    if (write(c->fd, text, (size_t)size) != size) { fail(c, "write", errno, start); return; }
    c->sent = 1;
    watch(ep, EPOLL_CTL_MOD, c->fd, EPOLLIN, (uint64_t)index);
    return;
  }
  for (;;) {
    ssize_t n = read(c->fd, c->buffer + c->used, (size_t)(BUFFER - 1 - c->used));
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) {
      if (c->busy) { fail(c, "read", n < 0 ? errno : 0, start); return; }
      close(c->fd); /* A kept connection that nobody needs just now. */
      c->fd = -1;
      return;
    }
    c->used += (int)n;
    if (!is_whole(c, &ends)) continue;
    answered++;
    c->busy = 0;
    c->uses++;
    if (ends || !keeps) {
      close(c->fd);
      c->fd = -1;
    }
    return;
  }
}

static int ask(int rate, int seconds, int keeps) {
  int ep = epoll_create1(0), cursor = 0;
  int width = keeps ? 64 : IN_FLIGHT_MAX;
  for (int i = 0; i < IN_FLIGHT_MAX; i++) calls[i].fd = -1;
  signal(SIGPIPE, SIG_IGN);
  uint64_t start = now_us(), end = start + (uint64_t)seconds * 1000000u;
  for (;;) {
    uint64_t now = now_us();
    long due = now < end ? (long)((now - start) * (uint64_t)rate / 1000000u) : asked + late;
    /* What cannot begin in time is left out, not made up for: the rate is a bound. */
    for (int burst = 0; asked + late < due && burst < 256; burst++) {
      int tried = 0;
      while (tried < width && calls[cursor].busy) { cursor = (cursor + 1) % width; tried++; }
      if (tried == width) { late++; continue; }
      begin(ep, cursor, start);
      cursor = (cursor + 1) % width;
    }
    if (asked + late < due) late = due - asked;
    int busy = 0;
    for (int i = 0; i < width; i++) {
      if (!calls[i].busy) continue;
      busy++;
      if (now > calls[i].since + TIMEOUT_MS * 1000u) fail(&calls[i], calls[i].sent ? "no answer" : "no connection", 0, start);
    }
    if (now >= end && busy == 0) break;
    struct epoll_event events[512];
    int count = epoll_wait(ep, events, 512, 1);
    for (int i = 0; i < count; i++) go_on(ep, (int)events[i].data.u64, keeps, start);
  }
  printf("{\"asked\":%ld,\"answered\":%ld,\"failed\":%ld,\"late\":%ld}\n", asked, answered, failed, late);
  return 0;
}

/* ---- UDP ---- */

static _Noreturn void echo(int port, const char *name) {
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  if (bind(fd, (struct sockaddr *)&at, sizeof at) < 0) die("bind");
  for (;;) {
    char buffer[64];
    struct sockaddr_in from;
    socklen_t length = sizeof from;
    if (recvfrom(fd, buffer, sizeof buffer, 0, (struct sockaddr *)&from, &length) >= 0)
      sendto(fd, name, strlen(name), 0, (struct sockaddr *)&from, length);
  }
}

/* One socket that sends for ever keeps its conntrack entry. */
static int send_udp(int rate, int seconds) {
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  if (connect(fd, (struct sockaddr *)&target, sizeof target) < 0) die("connect");
  uint64_t start = now_us(), end = start + (uint64_t)seconds * 1000000u, heard = 0, silence = 0;
  long sent = 0, got = 0, answerers = 0;
  char last[64] = "";
  while (now_us() < end) {
    if (send(fd, "?", 1, 0) == 1) sent++;
    uint64_t next = now_us() + 1000000u / (uint64_t)rate;
    for (uint64_t now; (now = now_us()) < next;) {
      struct pollfd p = {.fd = fd, .events = POLLIN};
      char buffer[64] = "";
      if (poll(&p, 1, (int)((next - now) / 1000u)) <= 0 || recv(fd, buffer, sizeof buffer - 1, 0) <= 0) continue;
      got++;
      now = now_us();
      if (strcmp(buffer, last) != 0 && ++answerers == 2 && end > now + 1000000u) end = now + 1000000u;
      strcpy(last, buffer);
      if (heard && now - heard > silence) silence = now - heard;
      heard = now;
    }
  }
  printf("{\"sent\":%ld,\"heard\":%ld,\"answerers\":%ld,\"longestSilenceMs\":%llu}\n", sent, got, answerers,
         (unsigned long long)(silence / 1000));
  return 0;
}

int main(int argc, char **argv) {
  if (argc == 4 && strcmp(argv[1], "serve") == 0) return serve(atoi(argv[2]), argv[3]);
  if (argc == 4 && strcmp(argv[1], "echo") == 0) echo(atoi(argv[2]), argv[3]);
  if (argc >= 6) {
    target.sin_family = AF_INET;
    target.sin_port = htons((uint16_t)atoi(argv[3]));
    if (inet_pton(AF_INET, argv[2], &target.sin_addr) != 1) return 2;
    if (strcmp(argv[1], "ask") == 0 && argc == 7) return ask(atoi(argv[4]), atoi(argv[5]), atoi(argv[6]));
    if (strcmp(argv[1], "send") == 0) return send_udp(atoi(argv[4]), atoi(argv[5]));
  }
  fputs("load serve PORT NAME | echo PORT NAME | ask HOST PORT RATE SECONDS KEEP | send HOST PORT RATE SECONDS\n", stderr);
  return 2;
}
