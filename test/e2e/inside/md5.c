/*
 * A peer that signs by the kernel's TCP_MD5SIG, for signed.inside.ts:
 *   md5 serve ADDRESS PORT PEER KEY      one connection; what comes is sent back
 *   md5 connect ADDRESS PORT PEER KEY N  N bytes of a pattern there and back; says "same" and the number
 * KEY "-": no signature.
 */
#include <arpa/inet.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct sockaddr_in at(const char *address, int port) {
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
  if (inet_pton(AF_INET, address, &a.sin_addr) != 1) exit(2);
  return a;
}

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static int signing(const char *peer, const char *key) {
  int s = socket(AF_INET, SOCK_STREAM, 0);
  if (s < 0) fail("socket");
  int on = 1;
  setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (strcmp(key, "-") != 0) {
    struct tcp_md5sig sig = {.tcpm_keylen = strlen(key)};
    struct sockaddr_in a = at(peer, 0);
    memcpy(&sig.tcpm_addr, &a, sizeof a);
    memcpy(sig.tcpm_key, key, sig.tcpm_keylen);
    if (setsockopt(s, IPPROTO_TCP, TCP_MD5SIG, &sig, sizeof sig) != 0) fail("TCP_MD5SIG");
  }
  return s;
}

static void all(int s, const char *buf, ssize_t n) {
  while (n > 0) {
    ssize_t sent = write(s, buf, n);
    if (sent <= 0) fail("write");
    buf += sent;
    n -= sent;
  }
}

static void serve(struct sockaddr_in a, const char *peer, const char *key) {
  int l = signing(peer, key);
  if (bind(l, (struct sockaddr *)&a, sizeof a) != 0 || listen(l, 5) != 0) fail("listen");
  fprintf(stderr, "listening\n");
  int s = accept(l, NULL, NULL);
  if (s < 0) fail("accept");
  char buf[65536];
  ssize_t n;
  while ((n = read(s, buf, sizeof buf)) > 0) all(s, buf, n);
  if (n < 0) fail("read");
  close(s);
}

static void connecting(struct sockaddr_in a, const char *peer, const char *key, long total) {
  int s = signing(peer, key);
  int tries = 1;
  setsockopt(s, IPPROTO_TCP, TCP_SYNCNT, &tries, sizeof tries);
  if (connect(s, (struct sockaddr *)&a, sizeof a) != 0) fail("connect");
  if (fork() == 0) {
    for (long i = 0; i < total;) {
      char buf[4096];
      long n = total - i < (long)sizeof buf ? total - i : (long)sizeof buf;
      for (long k = 0; k < n; k++) buf[k] = (char)((i + k) * 31 + ((i + k) >> 8));
      all(s, buf, n);
      i += n;
    }
    shutdown(s, SHUT_WR);
    _exit(0);
  }
  char buf[65536];
  long got = 0;
  ssize_t n;
  while ((n = read(s, buf, sizeof buf)) > 0)
    for (ssize_t k = 0; k < n; k++, got++)
      if (buf[k] != (char)(got * 31 + (got >> 8))) {
        fprintf(stderr, "byte %ld differs\n", got);
        exit(1);
      }
  if (n < 0) fail("read");
  printf("same %ld\n", got);
}

int main(int argc, char **argv) {
  if (argc == 6 && strcmp(argv[1], "serve") == 0) serve(at(argv[2], atoi(argv[3])), argv[4], argv[5]);
  else if (argc == 7 && strcmp(argv[1], "connect") == 0) connecting(at(argv[2], atoi(argv[3])), argv[4], argv[5], atol(argv[6]));
  else return 2;
  return 0;
}
