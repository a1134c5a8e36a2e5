import { readFileSync } from 'node:fs';
import type {
  FlowSchema,
  FlowSchemaSpec,
  PriorityLevelConfiguration,
  PriorityLevelConfigurationSpec,
} from '#api/generated/objects.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { parseBool } from '#api/wire/parse-bool.ts';
import { at, equalStored, objectOf, stringOf } from '#api/wire/json.ts';
import { readFlowSchema, type SchemaRules } from './flow-schema.ts';

interface Named<S> {
  readonly name: string;
  readonly spec: S;
}

interface BootstrapObjects {
  readonly flowSchemas: readonly Named<FlowSchemaSpec>[];
  readonly priorityLevelConfigurations: readonly Named<PriorityLevelConfigurationSpec>[];
}

/** Facts of a 1.36 (apiserver/pkg/apis/flowcontrol/bootstrap). */
const objects = JSON.parse(
  readFileSync(new URL('bootstrap-objects.json', import.meta.url), 'utf8'),
) as BootstrapObjects;

/** Without these there is nowhere to go for requests: what is stored of them is put right, whatever their annotation says. */
const mandatory: ReadonlySet<string> = new Set(['exempt', 'catch-all']);
const autoUpdate = 'apf.kubernetes.io/autoupdate-spec';

/** An object that every cluster has. */
export interface BootstrapObject {
  readonly resource: 'flowschemas' | 'prioritylevelconfigurations';
  readonly name: string;
  readonly spec: JsonObject;
  readonly isMandatory: boolean;
}

/** Levels before the schemas that name them. */
export const bootstrapObjects: readonly BootstrapObject[] = [
  ...objects.priorityLevelConfigurations.map((each) => bootstrapObject('prioritylevelconfigurations', each)),
  ...objects.flowSchemas.map((each) => bootstrapObject('flowschemas', each)),
];

function bootstrapObject(
  resource: BootstrapObject['resource'],
  { name, spec }: Named<FlowSchemaSpec | PriorityLevelConfigurationSpec>,
): BootstrapObject {
  return { resource, name, spec: { ...spec }, isMandatory: mandatory.has(name) };
}

export const mandatoryLevels: readonly PriorityLevelConfiguration[] = objects.priorityLevelConfigurations
  .filter(({ name }) => mandatory.has(name))
  .map(({ name, spec }) => ({ metadata: { name }, spec }));

export const mandatorySchemas: readonly SchemaRules[] = objects.flowSchemas
  .filter(({ name }) => mandatory.has(name))
  .map(({ name, spec }): FlowSchema => ({ metadata: { name }, spec }))
  .map(readFlowSchema);

export type Upkeep =
  | { readonly action: 'keep' }
  /** Nobody knows it any more, and it says that it is the server's. */
  | { readonly action: 'remove' }
  | { readonly action: 'put'; readonly object: JsonObject };

/**
 * What becomes of one of them that is stored: its spec is put right where the server keeps it, which the annotation says; where it says nothing,
 * the server does as long as nobody has changed it, and the annotation says from then on which it is (apiserver, Maintenance of the Mandatory and Suggested Configuration Objects). Pure.
 *
 * @param wanted undefined: there is none of that name
 */
export function upkeepOf(wanted: BootstrapObject | undefined, present: JsonObject): Upkeep {
  const said = parseBool(stringOf(objectOf(at(present, 'metadata.annotations'))[autoUpdate]));
  if (wanted === undefined) return { action: said === true ? 'remove' : 'keep' };
  const isKept = wanted.isMandatory || (said ?? at(present, 'metadata.generation') === 1);
  const spec = isKept ? specOf(wanted, present) : present['spec'];
  const isRight = equalStored(present['spec'], spec);
  if (said === isKept && isRight) return { action: 'keep' };
  const noted = said === isKept ? {} : annotated(present, isKept);
  return { action: 'put', object: { ...present, ...noted, ...(isRight ? {} : { spec }) } };
}

/** How much is exempt, and what of it is lent, is the users' to say. */
function specOf({ spec }: BootstrapObject, present: JsonObject): JsonObject {
  const exempt = at(present, 'spec.exempt');
  const isExempt = spec['type'] === 'Exempt' && at(present, 'spec.type') === 'Exempt';
  return isExempt && exempt !== undefined ? { ...spec, exempt } : spec;
}

/** As it is made. */
export function newObject({ name, spec }: BootstrapObject): JsonObject {
  return { metadata: { name, annotations: { [autoUpdate]: 'true' } }, spec };
}

function annotated(present: JsonObject, isKept: boolean): JsonObject {
  const metadata = objectOf(present['metadata']);
  const annotations = { ...objectOf(metadata['annotations']), [autoUpdate]: String(isKept) };
  return { metadata: { ...metadata, annotations } };
}
