import type { FlowSchema, PriorityLevelConfiguration } from '#api/generated/objects.ts';
import { at, stringOf, typed } from '#api/wire/json.ts';
import { manageApply, withOwners } from '#api/patch/apply/manage.ts';
import { formatGroupVersion } from '#api/schema/kinds.ts';
import { formatTime } from '#api/meta/time.ts';
import type { JsonObject } from '#api/meta/object.ts';
import type { Clock } from '#base/clock.ts';
import { describeError, isPodwrightError } from '#base/errors.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import { makeUnlessThere, serverUser } from '#control-plane/apiserver/ensure.ts';
import { mirrorAll, type MirrorParts, type MirrorSink } from '#control-plane/apiserver/objects/mirror.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';
import { manageWrite, ownerTerms, writerOf } from '#control-plane/apiserver/verbs/owners.ts';
import { updateObject } from '#control-plane/apiserver/verbs/update.ts';
import { bootstrapObjects, newObject, upkeepOf, type BootstrapObject } from './bootstrap-objects.ts';
import { danglingCondition } from './dangling.ts';
import { borrowingMs, type SharedSeats } from './shared-seats.ts';

const group = 'flowcontrol.apiserver.k8s.io';
const kinds = {
  flowschemas: builtIn(group, 'v1', 'flowschemas'),
  prioritylevelconfigurations: builtIn(group, 'v1', 'prioritylevelconfigurations'),
} as const;

/** As whom these are written, and what is said of them: names of kube-apiserver's, which `kubectl get --show-managed-fields` shows. */
const producer = 'api-priority-and-fairness-config-producer-v1';
const consumer = 'api-priority-and-fairness-config-consumer-v1';

/** FlowSchemas and levels as they are stored. */
export interface StoredFlowControl {
  readonly schemas: ReadonlyMap<string, FlowSchema>;
  readonly levels: ReadonlyMap<string, PriorityLevelConfiguration>;
  /** Told of each change, in the store's turn. */
  onChange: (() => void) | undefined;
}

/** Keeps the seats as what is stored says. Resolves when all of it is known. */
export async function followFlowControl(
  parts: MirrorParts,
  seats: SharedSeats,
): Promise<{ readonly stored: StoredFlowControl; readonly following: Disposable }> {
  const schemas = new Map<string, FlowSchema>();
  const levels = new Map<string, PriorityLevelConfiguration>();
  const stored: StoredFlowControl = { schemas, levels, onChange: undefined };
  const read = () => ({ schemas: [...schemas.values()], levels: [...levels.values()] });
  const changed = (): void => {
    seats.outdate(read);
    stored.onChange?.();
  };
  const sinkOf = <T>(all: Map<string, T>, read: (object: JsonObject) => T): MirrorSink => ({
    put: ({ key, object }) => {
      all.set(key, read(object));
      changed();
    },
    remove: (key) => {
      all.delete(key);
      changed();
    },
  });
  const following = await mirrorAll(parts, [
    [
      kinds.prioritylevelconfigurations,
      sinkOf(levels, (object) => typed<PriorityLevelConfiguration>(object)),
    ],
    [kinds.flowschemas, sinkOf(schemas, (object) => typed<FlowSchema>(object))],
  ]);
  return { stored, following };
}

/** Lends seats between levels, every few seconds. */
export function keepBorrowing(seats: SharedSeats, clock: Clock): Disposable {
  let timer = clock.after(borrowingMs, step);
  function step(): void {
    seats.adjust();
    timer = clock.after(borrowingMs, step);
  }
  return { [Symbol.dispose]: () => timer[Symbol.dispose]() };
}

/** Makes the objects that every cluster has, and puts them right where they are the server's. */
export async function ensureFlowControl(context: ServerContext): Promise<void> {
  for (const resource of ['prioritylevelconfigurations', 'flowschemas'] as const) {
    const present = new Map(
      (await context.registry.readAll(kinds[resource], '')).map((object) => [nameOf(object), object]),
    );
    const wanted = bootstrapObjects.filter((object) => object.resource === resource);
    await Promise.all(
      wanted.map((object) => {
        const found = present.get(object.name);
        present.delete(object.name);
        return found === undefined
          ? makeUnlessThere(context, kinds[resource], newObject(object), producer)
          : bringUp(context, resource, { wanted: object, found });
      }),
    );
    for (const found of present.values()) await bringUp(context, resource, { wanted: undefined, found });
  }
}

function nameOf(object: JsonObject): string {
  return stringOf(at(object, 'metadata.name'));
}

async function bringUp(
  context: ServerContext,
  resource: BootstrapObject['resource'],
  { wanted, found }: { readonly wanted: BootstrapObject | undefined; readonly found: JsonObject },
): Promise<void> {
  const { action } = upkeepOf(wanted, found);
  const kind = kinds[resource];
  const name = nameOf(found);
  if (action === 'keep') return;
  if (action === 'remove') {
    await context.registry.change(kind, { namespace: '', name }, (current) => {
      const object = current?.object ?? {};
      const isStill = current !== undefined && upkeepOf(wanted, object).action === 'remove';
      return { write: isStill ? 'remove' : 'nothing', object };
    });
    return;
  }
  await unlessGone(
    updateObject(context, {
      ...{ kind, name, namespace: '', dryRun: false },
      admittedAs: { user: serverUser, verb: 'update', subresource: '' },
      change: (current) => {
        const next = upkeepOf(wanted, current);
        return next.action === 'put' ? next.object : current;
      },
      own: (live, next) => manageWrite(context, { kind, manager: producer }, { live, next }),
    }),
  );
}

/** Whoever deletes it meanwhile does not want it put right. */
async function unlessGone(written: Promise<unknown>): Promise<void> {
  try {
    await written;
  } catch (error) {
    if (!isPodwrightError(error, 'E_API') || error.detail['reason'] !== 'NotFound') throw error;
  }
}

/** How often those objects are looked at (apiserver: a minute). */
const upkeepMs = 60_000;
/** Changes that come together are looked at together; and how often a status is written at most. */
const settleMs = 1_000;
/** Statuses; the store makes one write to the disk of those that come together. */
const writtenAtOnce = 64;

/**
 * Makes what every cluster has, brings back what is deleted or changed of it, and says in each FlowSchema's status whether its level is there.
 * Resolves when all that is so once.
 */
export async function keepFlowControl(
  context: ServerContext,
  stored: StoredFlowControl,
): Promise<Disposable> {
  await ensureFlowControl(context);
  await sayDangling(context, stored);
  const upkeep = repeat(context, upkeepMs, () => ensureFlowControl(context));
  let settling: Disposable | undefined;
  let isOver = false;
  // Not by a request that would wait for a seat, nor while anything is held that a request needs (kubernetes #97323).
  const say = async (): Promise<void> => {
    settling = undefined;
    try {
      await sayDangling(context, stored);
    } catch (error) {
      if (isOver) return;
      context.logger.warn({ error: describeError(error) }, 'statuses of FlowSchemas will be written again');
      saySoon();
    }
  };
  const saySoon = (): void => {
    if (!isOver) settling ??= context.clock.after(settleMs, () => void say());
  };
  stored.onChange = saySoon;
  return {
    [Symbol.dispose]: () => {
      isOver = true;
      stored.onChange = undefined;
      settling?.[Symbol.dispose]();
      upkeep[Symbol.dispose]();
    },
  };
}

async function sayDangling(context: ServerContext, { schemas, levels }: StoredFlowControl): Promise<void> {
  const names = new Set([...levels.values()].map(({ metadata }) => metadata?.name ?? ''));
  const hasLevel = (name: string): boolean => names.has(name);
  const now = formatTime(context.clock.now());
  const wrong = [...schemas.values()].filter(
    (schema) => danglingCondition(schema, { hasLevel, now }) !== undefined,
  );
  for (let at = 0; at < wrong.length; at += writtenAtOnce) {
    await Promise.all(
      wrong.slice(at, at + writtenAtOnce).map(({ metadata }) =>
        unlessGone(
          updateObject(context, {
            ...{ kind: kinds.flowschemas, name: metadata?.name ?? '', namespace: '', dryRun: false },
            subresource: 'status',
            admittedAs: { user: serverUser, verb: 'update', subresource: 'status' },
            change: (current) => withCondition(context, current, { hasLevel, now }),
          }),
        ),
      ),
    );
  }
}

/** The condition, applied: whoever else writes some has theirs, and who owns this one is seen (ApplyStatus of kube-apiserver). */
function withCondition(
  context: ServerContext,
  current: JsonObject,
  facts: { readonly hasLevel: (name: string) => boolean; readonly now: string },
): JsonObject {
  const condition = danglingCondition(typed<FlowSchema>(current), facts);
  if (condition === undefined) return current;
  const kind = kinds.flowschemas;
  const config = {
    ...{ apiVersion: formatGroupVersion(kind), kind: kind.kind, metadata: { name: nameOf(current) } },
    status: { conditions: [{ ...condition }] },
  };
  const { object = current, owners } = manageApply(
    ownerTerms(context, kind, 'status'),
    { live: current, config, isForced: true },
    writerOf(context, consumer, 'status'),
  );
  return withOwners(object, owners);
}

function repeat({ clock, logger }: ServerContext, everyMs: number, run: () => Promise<void>): Disposable {
  let isOver = false;
  let timer = clock.after(everyMs, step);
  function step(): void {
    void run()
      .catch((error: unknown) => {
        if (isOver) return;
        logger.warn({ error: describeError(error) }, 'flow control of every cluster will be looked at again');
      })
      .then(() => {
        if (!isOver) timer = clock.after(everyMs, step);
      });
  }
  return {
    [Symbol.dispose]: () => {
      isOver = true;
      timer[Symbol.dispose]();
    },
  };
}
