/** The program that the launch rows run: it prints the moment of its first instruction, or waits to be exec'd into. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const source = `
#include <stdio.h>
#include <time.h>
#include <unistd.h>
int main(int argc, char **argv) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  if (argc > 1) for (;;) pause();
  char line[32];
  int length = snprintf(line, sizeof line, "%lld\\n", t.tv_sec * 1000000000LL + t.tv_nsec);
  return write(1, line, length) != length;
}
`;

/** Compiles it into `<directory>/probe`. */
export function buildProbe(directory: string): string {
  const path = join(directory, 'probe');
  writeFileSync(`${path}.c`, source);
  execFileSync('gcc', ['-O2', '-static', '-o', path, `${path}.c`]);
  return path;
}

/** A root file system with nothing but the probe as /probe. */
export function makeProbeRoot(directory: string, probe: string): string {
  const root = join(directory, 'root');
  for (const name of ['proc', 'dev', 'sys', 'tmp']) mkdirSync(join(root, name), { recursive: true });
  copyFileSync(probe, join(root, 'probe'));
  return root;
}
