import type { Kind } from '#api/schema/kinds.ts';
import { conflict } from '#api/errors/status.ts';
import type { Changed, Decision, Entry } from '#control-plane/apiserver/objects/registry.ts';
import type { IsClaimed } from '#control-plane/apiserver/services/claims.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';

/** A change of one object, as a function of the one that is stored. `P` is what can be known of it ahead. */
export interface ObjectWrite<P, D extends Decision> {
  readonly kind: Kind;
  readonly namespace: string;
  readonly name: string;
  /** `atOnce`: decided in one step with the write. `steps`: large, prepared ahead. `mayWait`: prepared ahead, as it can be no other way. */
  readonly path: 'atOnce' | 'steps' | 'mayWait';
  /** Before its turn at the object, for the object as it is then. What it takes goes to `held`, until the write is done or given up. */
  readonly prepare: (current: Entry, held: DisposableStack) => Promise<P>;
  /**
   * In its turn: does not wait, and may be called again. `prepared` is for this very object; undefined where nothing is there, nothing
   * was prepared, or somebody wrote meanwhile (then not on the path `mayWait`).
   */
  readonly decide: (current: Entry | undefined, isClaimed: IsClaimed, prepared: P | undefined) => D;
}

/** Times that a write is prepared for an object that somebody else then writes first. */
const preparedMax = 16;

/**
 * The one way in which an object that is there changes:
 *
 * ```
 * read ─▶ prepare, perhaps waiting ─▶ in turn: is it the revision that was read? ─▶ decide ─▶ commit
 *   ▲                                                  └ no: somebody was first
 *   └──────────────────────────────────────────────────┘
 * ```
 * Most writes have nothing to wait for and skip what is before their turn.
 * @throws {E_API} 409 where others were first time and again
 */
export async function writeObject<P, D extends Decision>(
  { registry }: Pick<ServerContext, 'registry'>,
  write: ObjectWrite<P, D>,
): Promise<Changed<D>> {
  const { kind, path, prepare, decide } = write;
  if (path === 'atOnce') {
    return registry.change(kind, write, (current, isClaimed) => decide(current, isClaimed, undefined));
  }
  for (let tries = 1; tries <= preparedMax; tries++) {
    using held = new DisposableStack();

    const known = await registry.read(kind, write.namespace, write.name);
    const prepared = known === undefined ? undefined : await prepare(known, held);
    const changed = await registry.change<D | Late>(kind, write, (current, isClaimed) => {
      const isKnown = current?.value.modRevision === known?.value.modRevision;
      if (!isKnown && path === 'mayWait') return late;
      return decide(current, isClaimed, isKnown ? prepared : undefined);
    });
    if (isDecided(changed)) return changed;
  }
  throw conflict(kind, write.name);
}

/** Somebody was first: nothing is decided on an object that was not prepared for. */
interface Late extends Decision {
  readonly isLate: true;
}
const late: Late = { write: 'nothing', object: {}, isLate: true };

function isDecided<D extends Decision>(changed: Changed<D | Late>): changed is Changed<D> {
  return changed.decision !== late;
}
