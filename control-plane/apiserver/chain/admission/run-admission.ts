import assert from 'node:assert/strict';
import type { JsonObject } from '#api/meta/object.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';
import type { AdmissionAttributes, AdmissionPlugin, AdmissionRequest, HandlingContext } from './admission.ts';
import { Held } from './held.ts';
import { AdmissionStopwatch } from './measure-admission.ts';
import { Reinvocation } from './reinvocation.ts';

/** The plugins that have something to say of one write, in order. */
export interface Admission {
  readonly attributes: AdmissionAttributes;
  readonly plugins: readonly AdmissionPlugin[];
  /** Whether one of them may look elsewhere before it says it. */
  readonly mayWait: boolean;
}

/** An object before and after; see AdmissionRequest. */
export type Objects = Omit<AdmissionRequest, 'attributes'>;

export function admissionFor(
  context: Pick<ServerContext, 'admission'> & HandlingContext,
  attributes: AdmissionAttributes,
): Admission {
  const plugins: AdmissionPlugin[] = [];
  let mayWait = false;
  for (const plugin of context.admission) {
    const handling = plugin.handles(attributes, context);
    if (handling === 'no') continue;
    plugins.push(plugin);
    mayWait ||= handling === 'mayWait';
  }
  return { attributes, plugins, mayWait };
}

/** The object as the plugins leave it, when a change of some led to another round. Waits only for those that do. */
export async function admit<T extends JsonObject | undefined>(
  context: ServerContext,
  admission: Admission,
  objects: Objects & { readonly object: T },
): Promise<T | JsonObject> {
  const reinvocation = new Reinvocation();
  const object = await admitOnce(context, admission, { ...objects, reinvocation });
  if (!reinvocation.isWanted) return object;
  reinvocation.beginAgain();
  return admitOnce(context, admission, { ...objects, object, reinvocation });
}

async function admitOnce<T extends JsonObject | undefined>(
  context: ServerContext,
  { attributes, plugins }: Admission,
  objects: Objects & { readonly object: T; readonly reinvocation: Reinvocation },
): Promise<T | JsonObject> {
  let object: T | JsonObject = objects.object;
  using watch = new AdmissionStopwatch(context, { operation: attributes.operation, type: 'admit' });

  for (const plugin of plugins) {
    if (plugin.admit === undefined) continue;
    watch.next(plugin);
    const answer = plugin.admit(context, { ...objects, attributes, object });
    object = (answer instanceof Promise ? await answer : answer) ?? object;
  }
  watch.pass();
  return object;
}

/** As `admit`, where nobody may wait. */
export function admitAtOnce<T extends JsonObject | undefined>(
  context: ServerContext,
  { attributes, plugins }: Admission,
  objects: Objects & { readonly object: T },
): T | JsonObject {
  let object: T | JsonObject = objects.object;
  using watch = new AdmissionStopwatch(context, { operation: attributes.operation, type: 'admit' });

  for (const plugin of plugins) {
    if (plugin.admit === undefined) continue;
    watch.next(plugin);
    const answer = plugin.admit(context, { ...objects, attributes, object });
    assert(!(answer instanceof Promise), `${plugin.name} waits`);
    object = answer ?? object;
  }
  watch.pass();
  return object;
}

/** All have their say on the object as it would be stored; what they took goes to `held`, whose owner disposes of it after the write. */
export async function validate(
  context: ServerContext,
  { attributes, plugins }: Admission,
  { held, ...objects }: Objects & { readonly held: Held },
): Promise<void> {
  using watch = new AdmissionStopwatch(context, { operation: attributes.operation, type: 'validate' });

  for (const plugin of plugins) {
    if (plugin.validate === undefined) continue;
    watch.next(plugin);
    const answer = plugin.validate(context, { ...objects, attributes });
    const taken = answer instanceof Promise ? await answer : answer;
    if (taken !== undefined) held.use(taken);
  }
  watch.pass();
}

/** As `validate`, where nobody may wait; false: one who seldom does has to, and all are to be asked by `validate`. */
export function validateAtOnce(
  context: ServerContext,
  { attributes, plugins }: Admission,
  objects: Objects,
): boolean {
  if (plugins.some((plugin) => plugin.mustWait?.({ ...objects, attributes }) === true)) return false;
  using watch = new AdmissionStopwatch(context, { operation: attributes.operation, type: 'validate' });

  for (const plugin of plugins) {
    if (plugin.mustWait !== undefined || plugin.validate === undefined) continue;
    watch.next(plugin);
    const answer = plugin.validate(context, { ...objects, attributes });
    assert(answer === undefined, `${plugin.name} waits or takes something`);
  }
  watch.pass();
  return true;
}

/** What is to be disposed of when it is over, of something that is done and stores no object of its own: a connection, a question, a Binding. */
export interface Admitted extends Disposable {
  readonly object: JsonObject;
}

/** Both halves at once. The caller disposes of the answer when what it asked for is done. */
export async function admitWhole(
  context: ServerContext,
  attributes: AdmissionAttributes,
  object: JsonObject = {},
): Promise<Admitted> {
  using undo = new DisposableStack();

  const held = undo.use(new Held());
  const admission = admissionFor(context, attributes);
  const admitted = await admit(context, admission, { object });
  await validate(context, admission, { object: admitted, held });
  undo.move();
  return { object: admitted, [Symbol.dispose]: () => held[Symbol.dispose]() };
}
