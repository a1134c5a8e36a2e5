import { at, nameOrPrefix, objectsOf, stringMapOf, stringOf, withPath } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { compareQuantity, tryParseQuantity } from '#api/meta/quantity.ts';
import { forbidden } from '#api/errors/status.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import type {
  AdmissionContext,
  AdmissionPlugin,
} from '#control-plane/apiserver/chain/admission/admission.ts';
import { makesPod, pods } from './pod.ts';
import { mergeTolerations } from './tolerations.ts';

const classes = builtIn('node.k8s.io', 'v1', 'runtimeclasses');

/**
 * A new pod has what its RuntimeClass says that running it costs, and goes where that can be run (plugin/pkg/admission/runtimeclass,
 * KEP-688). Nobody else says the overhead.
 */
export const runtimeClass: AdmissionPlugin = {
  name: 'RuntimeClass',
  handles: (attributes) => (makesPod(attributes) ? 'mayWait' : 'no'),
  admit: (context, { object: pod = {} }) => {
    const name = classOf(pod);
    return name === undefined
      ? undefined
      : readClass(context, pod, name).then((found) => withClass(pod, found));
  },
  validate: (context, { object: pod = {} }) => {
    const name = classOf(pod);
    if (name === undefined) return checkOverhead(pod, undefined);
    return readClass(context, pod, name).then((found) => checkOverhead(pod, found));
  },
};

function classOf(pod: JsonObject): string | undefined {
  const name = at(pod, 'spec.runtimeClassName');
  return typeof name === 'string' ? name : undefined;
}

/** @throws {E_API} 403 where there is none */
async function readClass(context: AdmissionContext, pod: JsonObject, name: string): Promise<JsonObject> {
  const entry = await context.registry.read(classes, '', name);
  if (entry !== undefined) return entry.object;
  throw refused(pod, `pod rejected: RuntimeClass ${JSON.stringify(name)} not found`);
}

/** The pod with the overhead of the class, and where it may run. Pure. @throws {E_API} 403 where the pod says something else */
export function withClass(pod: JsonObject, found: JsonObject): JsonObject {
  return withScheduling(withOverhead(pod, found), found['scheduling']);
}

const otherOverhead = "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead";

function withOverhead(pod: JsonObject, found: JsonObject): JsonObject {
  if (found['overhead'] === undefined) return pod;
  const fixed = at(found, 'overhead.podFixed');
  const own = at(pod, 'spec.overhead');
  if (own !== undefined && !areEqualAmounts(own, fixed)) throw refused(pod, otherOverhead);
  return fixed === undefined ? pod : withPath(pod, 'spec.overhead', fixed);
}

function withScheduling(pod: JsonObject, scheduling: unknown): JsonObject {
  if (scheduling === undefined) return pod;
  const wanted = stringMapOf(at(scheduling, 'nodeSelector'));
  const own = stringMapOf(at(pod, 'spec.nodeSelector'));
  for (const [key, value] of Object.entries(wanted).toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    if (!Object.hasOwn(own, key) || own[key] === value) continue;
    const cause = `conflict: runtimeClass.scheduling.nodeSelector[${key}] = ${value}; pod.spec.nodeSelector[${key}] = ${own[key]}`;
    throw refused(pod, cause);
  }
  const selector = { ...own, ...wanted };
  const selected = Object.keys(selector).length === 0 ? pod : withPath(pod, 'spec.nodeSelector', selector);
  const tolerations = mergeTolerations(
    objectsOf(at(pod, 'spec.tolerations')),
    objectsOf(at(scheduling, 'tolerations')),
  );
  return tolerations.length === 0 ? selected : withPath(selected, 'spec.tolerations', tolerations);
}

/** @throws {E_API} 403 for an overhead that is not the one of the class */
function checkOverhead(pod: JsonObject, found: JsonObject | undefined): undefined {
  const own = at(pod, 'spec.overhead');
  if (found?.['overhead'] === undefined) {
    if (own === undefined) return;
    throw refused(pod, 'pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead');
  }
  if (!areEqualAmounts(own, at(found, 'overhead.podFixed'))) throw refused(pod, otherOverhead);
}

/** Whether two lists of resources say the same, however it is written. */
function areEqualAmounts(one: unknown, other: unknown): boolean {
  const [a, b] = [Object.entries(stringMapOf(one)), stringMapOf(other)];
  return (
    a.length === Object.keys(b).length &&
    a.every(([name, text]) => {
      const [left, right] = [tryParseQuantity(text), tryParseQuantity(b[name])];
      return left !== undefined && right !== undefined && compareQuantity(left, right) === 0;
    })
  );
}

function refused(pod: JsonObject, cause: string): Error {
  return forbidden(pods, stringOf(nameOrPrefix(pod)), cause);
}
