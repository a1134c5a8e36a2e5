import fs from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { nextTurn } from './time-slice.ts';

/** What Node names that goes on by itself: requests of open files, turns that were asked for. */
const underWay = /Req|Immediate/;
const roundsQuiet = 3;
const turnsQuiet = 3;
/** Of work that never ends: each turn of it may be as short as nothing. */
const turnsMax = 100_000;

/** Calls of node:fs/promises that have not been answered: of those that read, write or remove whole files Node tells nothing. */
let calls = 0;

/** From now on they are counted; what they do, and the promises that they give, are as before. */
function countCalls(functions: object): void {
  const over = (): void => void calls--;
  for (const [name, real] of Object.entries(functions)) {
    if (typeof real !== 'function') continue;
    const counted = (...args: readonly unknown[]): unknown => {
      const answer: unknown = Reflect.apply(real, functions, args);
      if (!(answer instanceof Promise)) return answer;
      calls++;
      answer.then(over, over);
      return answer;
    };
    Reflect.set(functions, name, counted);
  }
  syncBuiltinESMExports();
}

countCalls(fs);

/**
 * Waits until nothing that was begun goes on: only timers, and what comes from outside, can make anything happen then. Nothing is guessed
 * from times: a disk or a machine that is slow makes it longer.
 * @param isBusy work that Node does not know of
 */
export async function untilQuiet(isBusy: () => boolean = () => false): Promise<void> {
  for (let quiet = 0; quiet < roundsQuiet; quiet++) {
    await new Promise((resolve) => setTimeout(resolve, 1));
    const names = process.getActiveResourcesInfo();
    if (calls > 0 || isBusy() || names.some((name) => underWay.test(name))) quiet = -1;
  }
}

/**
 * Waits until no further turn of the event loop is asked for: what promises and slices of work (`time-slice.ts`) can do without a timer, a
 * file or anybody outside is done then. How many turns that takes is a matter of how busy the machine is.
 */
export async function untilTurnsEnd(): Promise<void> {
  for (let turn = 0, quiet = 0; quiet < turnsQuiet && turn < turnsMax; turn++) {
    await nextTurn();
    quiet = process.getActiveResourcesInfo().includes('Immediate') ? 0 : quiet + 1;
  }
}
