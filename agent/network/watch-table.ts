import type { Clock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import { ownNetns } from '#native/netlink/netlink.ts';
import type { Nft, TableRef } from '#native/nft/nft.ts';

export interface RepairOptions {
  readonly nft: Nft;
  readonly table: TableRef;
  readonly clock: Clock;
  readonly log: Logger;
  /** Rules that the kernel has after all that was committed so far. */
  readonly ruleCount: () => number;
  /** The kernel has other rules: have the table made again. */
  readonly onLost: () => void;
}

/**
 * Longest time until a table that somebody removed or flushed is back. A firewall's service that is reloaded says
 * `nft flush ruleset`. Not by the kernel's own events: while anybody listens, it writes one for each of our elements.
 */
const lookIntervalMs = 1_000;

/** Looks now and then whether the table is still there with all its rules. Costs one request while nobody commits anything. */
export function watchTable(options: RepairOptions): Disposable {
  const { clock, log, table } = options;
  /** All tables are looked at in one turn: a node that does nothing wakes for it once. */
  const untilNextMs = (): number => lookIntervalMs - (clock.monotonic() % lookIntervalMs);
  let isOpen = true;
  let timer = clock.after(untilNextMs(), tick);
  let soundGeneration: number | undefined;

  const look = async (): Promise<void> => {
    // The generation before the rules: what changes in between is looked at the next time.
    const generation = await options.nft.generation(ownNetns);
    if (generation === soundGeneration || !isOpen) return;
    const wanted = options.ruleCount();
    const found = await options.nft.ruleCount(ownNetns, table);
    if (found === wanted) {
      soundGeneration = generation;
    } else if (isOpen) {
      log.warn({ table: table.name, found, wanted }, 'rules were removed by somebody; made again');
      options.onLost();
    }
  };
  function tick(): void {
    void look()
      .catch((error: unknown) => log.warn({ table: table.name, error }, 'table cannot be looked at'))
      .then(() => {
        if (isOpen) timer = clock.after(untilNextMs(), tick);
      });
  }
  return {
    [Symbol.dispose]: () => {
      isOpen = false;
      timer[Symbol.dispose]();
    },
  };
}
