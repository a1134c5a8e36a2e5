import { readFileSync } from 'node:fs';

const tickMs = 10; // USER_HZ is 100 on every architecture that Node runs on.

/** What a process, with all its threads, has had of the processors so far (proc_pid_stat(5): utime, stime), in milliseconds. */
export function processorMs(pid: number): number {
  const line = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const [, , , , , , , , , , , user = 0, system = 0] = line
    .slice(line.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  return (user + system) * tickMs;
}
