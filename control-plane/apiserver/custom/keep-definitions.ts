import { readDefinition, type CustomNames, type Definition } from '#api/custom/definition.ts';
import { cleanupFinalizer } from '#api/kinds/apiextensions/definition-deletion.ts';
import { planNames, withCondition } from '#api/custom/names-plan.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { equalJson, listOf, objectOf, withPath } from '#api/wire/json.ts';
import { describeError, isPodwrightError } from '#base/errors.ts';
import { sweepInSteps } from '#base/memory/sweep.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import { mirrorKind } from '#control-plane/apiserver/objects/mirror.ts';
import type { Decision } from '#control-plane/apiserver/objects/registry.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';
import { manageWrite, serverManager } from '#control-plane/apiserver/verbs/owners.ts';
import type { DefinitionBook } from './definition-book.ts';
import { removeInstances } from './remove-instances.ts';

const definitions = builtIn('apiextensions.k8s.io', 'v1', 'customresourcedefinitions');
/** Definitions that are worked on at a time: they share what a write costs the disk. */
const atOnceMax = 32;
const againMs = 1_000;
/** What a hundred definitions of 30 KB leave behind, of their schemas above all, where a few are kept of them. */
const leftBehindBytes = 33_554_432;

/**
 * Follows the definitions, and writes what upstream's controllers in its API server write of them: names and conditions, and, of one that
 * goes, that its objects go and are gone. Every server of a store does so, for whichever is there; each write is decided on what is
 * stored. Resolves when all that were there are served.
 */
export async function keepDefinitions(context: ServerContext, book: DefinitionBook): Promise<Disposable> {
  const keeper = new Keeper(context, book);
  book.onChange = (name) => keeper.look(name);
  book.onClash = ({ group, version, resource }) =>
    context.logger.warn({ group, version, resource }, 'a custom kind is not served: its names are taken');
  const { registry, clock, logger } = context;
  const mirror = await mirrorKind({ registry, clock, logger }, definitions, book);
  return {
    [Symbol.dispose]: () => {
      mirror[Symbol.dispose]();
      keeper[Symbol.dispose]();
    },
  };
}

class Keeper implements Disposable {
  readonly #context: ServerContext;
  readonly #book: DefinitionBook;
  /** Whom to look at, in order of asking. */
  readonly #waiting = new Set<string>();
  readonly #over = new AbortController();
  /** Those whose objects are being removed. */
  readonly #going = new Set<string>();
  #running = 0;
  #isSweeping = false;

  constructor(context: ServerContext, book: DefinitionBook) {
    this.#context = context;
    this.#book = book;
  }

  [Symbol.dispose](): void {
    this.#over.abort();
  }

  /** Called in the store's turn: what is to be written is written after it. */
  look(name: string): void {
    this.#waiting.add(name);
    if (this.#running < atOnceMax) {
      this.#running++;
      queueMicrotask(() => void this.#work());
    }
  }

  async #work(): Promise<void> {
    for (const name of this.#waiting) {
      this.#waiting.delete(name);
      try {
        await this.#settle(name);
      } catch (error) {
        this.#later(name, error);
      }
      void this.#sweep();
    }
    this.#running--;
  }

  /** Hundreds come at once, as a bundle is installed: V8 would let the heap grow to several times of what is kept of them. */
  async #sweep(): Promise<void> {
    if (this.#isSweeping) return;
    this.#isSweeping = true;
    await sweepInSteps({ clock: this.#context.clock, signal: this.#over.signal }, leftBehindBytes);
    this.#isSweeping = false;
  }

  #later(name: string, error: unknown): void {
    if (this.#over.signal.aborted || isPodwrightError(error, 'E_CLOSED')) return;
    const { logger, clock } = this.#context;
    logger.warn({ definition: name, error: describeError(error) }, 'a custom kind is looked at again soon');
    clock.after(againMs, () => {
      if (!this.#over.signal.aborted) this.look(name);
    });
  }

  async #settle(name: string): Promise<void> {
    const definition = this.#book.get(name);
    if (definition === undefined || this.#over.signal.aborted) return;
    if (definition.isTerminating) return this.#remove(definition);
    const nowMs = this.#context.clock.now();
    if (settled(definition, this.#book, nowMs) === undefined) return;
    await this.#change(name, (object) => {
      const current = readDefinition(object);
      if (current.uid !== definition.uid || current.isTerminating) return undefined;
      const plan = settled(current, this.#book, nowMs);
      return plan && withStatus(object, plan);
    });
  }

  /** Removes its objects, however long that takes: others do not wait. */
  #remove(definition: Definition): void {
    const { name } = definition;
    if (this.#going.has(name) || !definition.isHeld) return;
    this.#going.add(name);
    const again = (error: unknown): void => this.#later(name, error);
    void this.#removeAll(definition)
      .catch(again)
      .then(() => this.#going.delete(name));
  }

  async #removeAll({ name, uid, isEstablished }: Definition): Promise<void> {
    const tell = (reason: string, message: string, status: 'True' | 'False' = 'True'): Promise<void> =>
      this.#change(name, (object) => {
        if (readDefinition(object).uid !== uid) return undefined;
        const conditions = withCondition(
          readDefinition(object).conditions,
          { type: 'Terminating', status, reason, message },
          this.#context.clock.now(),
        );
        const told = withPath(object, 'status.conditions', conditions);
        return status === 'True' ? told : released(told);
      });
    const kind = this.#book.storageKindOf(name);
    if (!isEstablished || kind === undefined) {
      await tell('NeverEstablished', 'resource was never established', 'False');
      return;
    }
    await tell('InstanceDeletionInProgress', 'CustomResource deletion is in progress');
    await removeInstances(this.#context, kind, this.#over.signal);
    await tell('InstanceDeletionCompleted', 'removed all instances', 'False');
  }

  async #change(name: string, change: (object: JsonObject) => JsonObject | undefined): Promise<void> {
    await this.#context.registry.change<Decision>(definitions, { namespace: '', name }, (current) => {
      const next = current && change(current.object);
      if (next === undefined || equalJson(current?.object, next)) return { write: 'nothing', object: {} };
      if (isReleased(next)) return { write: 'remove', object: next };
      const written = { live: current?.object, next };
      return { write: 'put', object: manageWrite(this.#context, asStatus, written) };
    });
  }
}

/** How it writes: as upstream's controllers do, by the status. */
const asStatus = { kind: definitions, subresource: 'status', manager: serverManager } as const;

/** What its status is to say, if that is not what it says. */
function settled(
  definition: Definition,
  book: DefinitionBook,
  nowMs: number,
): ReturnType<typeof planNames> | undefined {
  const plan = planNames(definition, book.usedBeside(definition), nowMs);
  const isSame =
    equalJson(plan.conditions, definition.conditions) && equalJson(plan.accepted, definition.accepted);
  return isSame ? undefined : plan;
}

function withStatus(object: JsonObject, plan: ReturnType<typeof planNames>): JsonObject {
  const status = objectOf(object['status']);
  const { conditions, accepted } = plan;
  return { ...object, status: { ...status, conditions, acceptedNames: shownNames(accepted) } };
}

/** As Go writes them: plural and kind in any case. */
function shownNames({ plural, singular, shortNames, kind, listKind, categories }: CustomNames): JsonObject {
  return {
    plural,
    ...(singular === '' ? {} : { singular }),
    ...(shortNames.length === 0 ? {} : { shortNames }),
    kind,
    ...(listKind === '' ? {} : { listKind }),
    ...(categories.length === 0 ? {} : { categories }),
  };
}

function released(object: JsonObject): JsonObject {
  const { finalizers, ...metadata } = objectOf(object['metadata']);
  const left = listOf(finalizers).filter((finalizer) => finalizer !== cleanupFinalizer);
  return { ...object, metadata: left.length === 0 ? metadata : { ...metadata, finalizers: left } };
}

function isReleased(object: JsonObject): boolean {
  const { deletionTimestamp, finalizers } = objectOf(object['metadata']);
  return deletionTimestamp !== undefined && listOf(finalizers).length === 0;
}
