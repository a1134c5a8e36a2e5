/** What went through a network interface since it was made. */
export interface InterfaceCounters {
  readonly name: string;
  readonly rxBytes: number;
  readonly rxErrors: number;
  readonly txBytes: number;
  readonly txErrors: number;
}

/** The interfaces of /proc/PID/net/dev but the loopback (proc_pid_net(5)). Pure. */
export function parseInterfaceCounters(text: string): readonly InterfaceCounters[] {
  return text.split('\n').flatMap((line) => {
    const match = /^\s*([^\s:]+):\s*(.*)$/.exec(line);
    const name = match?.[1];
    if (name === undefined || name === 'lo') return [];
    // bytes packets errs drop fifo frame compressed multicast, then the same of what was sent, with other words.
    const fields = (match?.[2] ?? '').trim().split(/\s+/).map(Number);
    const [rxBytes = 0, , rxErrors = 0, , , , , , txBytes = 0, , txErrors = 0] = fields;
    return [{ name, rxBytes, rxErrors, txBytes, txErrors }];
  });
}
