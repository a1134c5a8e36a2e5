import assert from 'node:assert/strict';
import { Held } from '#control-plane/apiserver/chain/admission/held.ts';
import type { Kind } from '#api/schema/kinds.ts';
import { conflict } from '#api/errors/status.ts';
import type { Changed, Decision, Entry, Registry } from '#control-plane/apiserver/objects/registry.ts';
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
  readonly prepare: (current: Entry, held: Held) => Promise<P>;
  /**
   * In its turn: does not wait, and may be called again. `prepared` is for this very object; undefined where nothing is there, nothing
   * was prepared, or somebody wrote meanwhile (then not on the path `mayWait`). undefined: it cannot be decided without waiting; not
   * where it was prepared.
   */
  readonly decide: (
    current: Entry | undefined,
    isClaimed: IsClaimed,
    prepared: P | undefined,
  ) => D | undefined;
}

/** Times that a write is prepared for an object that somebody else then writes first. */
const preparedMax = 16;

/**
 * The one way in which an object that is there changes:
 *
 * ```
 * read ─▶ prepare, perhaps waiting ─▶ in turn: is it the revision that was read, and all as it was taken for? ─▶ decide ─▶ commit
 *   ▲                                                  └ no: somebody was first
 *   └──────────────────────────────────────────────────┘
 * ```
 * Most writes have nothing to wait for and skip what is before their turn; one that finds there that it has goes the long way.
 * @throws {E_API} 409 where others were first time and again
 */
export async function writeObject<P, D extends Decision>(
  { registry }: Pick<ServerContext, 'registry'>,
  write: ObjectWrite<P, D>,
): Promise<Changed<D>> {
  const { kind, prepare } = write;
  if (write.path === 'atOnce') {
    const changed = await decideInTurn(registry, write, undefined);
    if (changed !== undefined) return changed;
  }
  for (let tries = 1; tries <= preparedMax; tries++) {
    using held = new Held();

    const known = await registry.read(kind, write.namespace, write.name);
    const prepared = known === undefined ? undefined : await prepare(known, held);
    const revision = known?.value.modRevision ?? 0;
    const { beside } = held;
    const changed =
      write.path === 'steps' && beside === undefined
        ? await decideInTurn(registry, write, { revision, prepared })
        : await registry.changeIf(kind, { ...write, condition: { revision, beside } }, (...given) =>
            decided(write.decide(...given, prepared)),
          );
    if (changed !== undefined) return changed;
  }
  throw conflict(kind, write.name);
}

/** Whatever is there. undefined: it has to wait. */
async function decideInTurn<P, D extends Decision>(
  registry: Registry,
  { kind, namespace, name, decide }: ObjectWrite<P, D>,
  ahead: { readonly revision: number; readonly prepared: P | undefined } | undefined,
): Promise<Changed<D> | undefined> {
  const changed = await registry.change<D | MustWait>(kind, { namespace, name }, (current, isClaimed) => {
    const isKnown = current?.value.modRevision === ahead?.revision;
    return decide(current, isClaimed, isKnown ? ahead?.prepared : undefined) ?? mustWait;
  });
  return isDecided(changed) ? changed : undefined;
}

interface MustWait extends Decision {
  readonly mustWait: true;
}
const mustWait: MustWait = { write: 'nothing', object: {}, mustWait: true };

function isDecided<D extends Decision>(changed: Changed<D | MustWait>): changed is Changed<D> {
  return changed.decision !== mustWait;
}

function decided<D>(decision: D | undefined): D {
  assert(decision !== undefined, 'what was prepared waits');
  return decision;
}
