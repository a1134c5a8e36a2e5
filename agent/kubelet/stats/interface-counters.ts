/** What went through a network interface since it was made. */
export interface InterfaceCounters {
  readonly name: string;
  readonly rxBytes: number;
  readonly rxPackets: number;
  readonly rxErrors: number;
  readonly rxDropped: number;
  readonly txBytes: number;
  readonly txPackets: number;
  readonly txErrors: number;
  readonly txDropped: number;
}

/** The interfaces of /proc/PID/net/dev but the loopback (proc_pid_net(5)). Pure. */
export function parseInterfaceCounters(text: string): readonly InterfaceCounters[] {
  return text.split('\n').flatMap((line) => {
    const match = /^\s*([^\s:]+):\s*(.*)$/.exec(line);
    const name = match?.[1];
    if (name === undefined || name === 'lo') return [];
    // bytes packets errs drop fifo frame compressed multicast, then the same of what was sent, with other words.
    const fields = (match?.[2] ?? '').trim().split(/\s+/).map(Number);
    const [rxBytes = 0, rxPackets = 0, rxErrors = 0, rxDropped = 0] = fields;
    const [txBytes = 0, txPackets = 0, txErrors = 0, txDropped = 0] = fields.slice(8);
    return [
      { name, rxBytes, rxPackets, rxErrors, rxDropped, ...{ txBytes, txPackets, txErrors, txDropped } },
    ];
  });
}
