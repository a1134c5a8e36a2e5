import assert from 'node:assert/strict';
import type { JsonObject } from '#api/meta/object.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';
import type { AdmissionAttributes, AdmissionPlugin, AdmissionRequest } from './admission.ts';
import { Held } from './held.ts';

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
  { admission }: Pick<ServerContext, 'admission'>,
  attributes: AdmissionAttributes,
): Admission {
  const plugins: AdmissionPlugin[] = [];
  let mayWait = false;
  for (const plugin of admission) {
    const handling = plugin.handles(attributes);
    if (handling === 'no') continue;
    plugins.push(plugin);
    mayWait ||= handling === 'mayWait';
  }
  return { attributes, plugins, mayWait };
}

/** The object as the plugins leave it. Waits only for those that do. */
export async function admit<T extends JsonObject | undefined>(
  context: ServerContext,
  { attributes, plugins }: Admission,
  objects: Objects & { readonly object: T },
): Promise<T | JsonObject> {
  let object: T | JsonObject = objects.object;
  for (const plugin of plugins) {
    const answer = plugin.admit?.(context, { ...objects, attributes, object });
    object = (answer instanceof Promise ? await answer : answer) ?? object;
  }
  return object;
}

/** As `admit`, where nobody may wait. */
export function admitAtOnce<T extends JsonObject | undefined>(
  context: ServerContext,
  { attributes, plugins }: Admission,
  objects: Objects & { readonly object: T },
): T | JsonObject {
  let object: T | JsonObject = objects.object;
  for (const plugin of plugins) {
    const answer = plugin.admit?.(context, { ...objects, attributes, object });
    assert(!(answer instanceof Promise), `${plugin.name} waits`);
    object = answer ?? object;
  }
  return object;
}

/** All have their say on the object as it would be stored; what they took goes to `held`, whose owner disposes of it after the write. */
export async function validate(
  context: ServerContext,
  { attributes, plugins }: Admission,
  { held, ...objects }: Objects & { readonly held: Held },
): Promise<void> {
  for (const plugin of plugins) {
    const answer = plugin.validate?.(context, { ...objects, attributes });
    const taken = answer instanceof Promise ? await answer : answer;
    if (taken !== undefined) held.use(taken);
  }
}

/** As `validate`, where nobody may wait; false: one who seldom does has to, and all are to be asked by `validate`. */
export function validateAtOnce(
  context: ServerContext,
  { attributes, plugins }: Admission,
  objects: Objects,
): boolean {
  for (const plugin of plugins) {
    if (plugin.mustWait !== undefined) {
      if (plugin.mustWait({ ...objects, attributes })) return false;
      continue;
    }
    const answer = plugin.validate?.(context, { ...objects, attributes });
    assert(answer === undefined, `${plugin.name} waits or takes something`);
  }
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
