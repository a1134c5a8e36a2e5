/** The definitions of the kinds of snapshots, as external-snapshotter's are: fields, columns, rules and their words. */
import type { CustomResourceDefinition, JSONSchemaProps, ValidationRule } from '#api/generated/objects.ts';
import { customResourceDefinitions } from '#api/schema/kind-ref.ts';
import type { Clock } from '#base/clock.ts';
import { describeError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import { isAlreadyExists, isNotFound } from '#client/api-error.ts';
import type { ApiClient } from '#client/client.ts';
import { ensureDefinition } from '#client/custom/establish.ts';
import { snapshotGroup } from './snapshot-kinds.ts';

const text: JSONSchemaProps = { type: 'string' };
const flag: JSONSchemaProps = { type: 'boolean' };
const time: JSONSchemaProps = { type: 'string', format: 'date-time' };
const int64: JSONSchemaProps = { type: 'integer', format: 'int64' };
const object = (
  properties: Readonly<Record<string, JSONSchemaProps>>,
  rest: Partial<JSONSchemaProps> = {},
): JSONSchemaProps => ({ type: 'object', properties, ...rest });
const rule = (expression: string, message: string): ValidationRule => ({ rule: expression, message });
const withRules = (schema: JSONSchemaProps, ...rules: readonly ValidationRule[]): JSONSchemaProps =>
  ({ ...schema, 'x-kubernetes-validations': rules }) as JSONSchemaProps;
const immutable = (name: string): JSONSchemaProps =>
  withRules(text, rule('self == oldSelf', `${name} is immutable`));
const kept = (name: string): ValidationRule =>
  rule(`!has(oldSelf.${name}) || has(self.${name})`, `${name} is required once set`);
const oneOf = (a: string, b: string): ValidationRule =>
  rule(
    `(has(self.${a}) && !has(self.${b})) || (!has(self.${a}) && has(self.${b}))`,
    `exactly one of ${a} and ${b} must be set`,
  );
const failure = object({ message: text, time });
const deletionPolicy: JSONSchemaProps = { type: 'string', enum: ['Delete', 'Retain'] } as JSONSchemaProps;
const quantity = {
  anyOf: [{ type: 'integer' }, { type: 'string' }],
  pattern: String.raw`^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$`,
  'x-kubernetes-int-or-string': true,
} as JSONSchemaProps;

const snapshotSchema = object(
  {
    spec: object(
      {
        source: withRules(
          object({
            persistentVolumeClaimName: immutable('persistentVolumeClaimName'),
            volumeSnapshotContentName: immutable('volumeSnapshotContentName'),
          }),
          kept('persistentVolumeClaimName'),
          kept('volumeSnapshotContentName'),
          oneOf('volumeSnapshotContentName', 'persistentVolumeClaimName'),
        ),
        volumeSnapshotClassName: withRules(
          text,
          rule('size(self) > 0', 'volumeSnapshotClassName must not be the empty string when set'),
        ),
      },
      { required: ['source'] },
    ),
    status: object({
      boundVolumeSnapshotContentName: text,
      creationTime: time,
      error: failure,
      readyToUse: flag,
      restoreSize: quantity,
      volumeGroupSnapshotName: text,
    }),
  },
  { required: ['spec'] },
);

const contentSchema = object(
  {
    spec: withRules(
      object(
        {
          deletionPolicy,
          driver: text,
          source: withRules(
            object({ volumeHandle: immutable('volumeHandle'), snapshotHandle: immutable('snapshotHandle') }),
            kept('volumeHandle'),
            kept('snapshotHandle'),
            oneOf('volumeHandle', 'snapshotHandle'),
          ),
          sourceVolumeMode: immutable('sourceVolumeMode'),
          volumeSnapshotClassName: text,
          volumeSnapshotRef: withRules(
            object({
              ...{ apiVersion: text, fieldPath: text, kind: text, name: text },
              ...{ namespace: text, resourceVersion: text, uid: text },
            }),
            rule(
              'has(self.name) && has(self.__namespace__)',
              'both spec.volumeSnapshotRef.name and spec.volumeSnapshotRef.namespace must be set',
            ),
          ),
        },
        { required: ['deletionPolicy', 'driver', 'source', 'volumeSnapshotRef'] },
      ),
      kept('sourceVolumeMode'),
    ),
    status: object({
      creationTime: int64,
      error: failure,
      readyToUse: flag,
      restoreSize: { ...int64, minimum: 0 },
      snapshotHandle: text,
      volumeGroupSnapshotHandle: text,
    }),
  },
  { required: ['spec'] },
);

const classSchema = object(
  {
    deletionPolicy,
    driver: text,
    parameters: { type: 'object', additionalProperties: text } as JSONSchemaProps,
  },
  { required: ['deletionPolicy', 'driver'] },
);

interface KindWish {
  readonly kind: string;
  readonly plural: string;
  readonly shortNames: readonly string[];
  readonly scope: 'Namespaced' | 'Cluster';
  readonly schema: JSONSchemaProps;
  /** Name, type, path. */
  readonly columns: readonly (readonly [string, string, string])[];
  readonly hasStatus: boolean;
}

const age = ['Age', 'date', '.metadata.creationTimestamp'] as const;

const wishes: readonly KindWish[] = [
  {
    ...{ kind: 'VolumeSnapshot', plural: 'volumesnapshots', shortNames: ['vs'], scope: 'Namespaced' },
    ...{ schema: snapshotSchema, hasStatus: true },
    columns: [
      ['ReadyToUse', 'boolean', '.status.readyToUse'],
      ['SourcePVC', 'string', '.spec.source.persistentVolumeClaimName'],
      ['SourceSnapshotContent', 'string', '.spec.source.volumeSnapshotContentName'],
      ['RestoreSize', 'string', '.status.restoreSize'],
      ['SnapshotClass', 'string', '.spec.volumeSnapshotClassName'],
      ['SnapshotContent', 'string', '.status.boundVolumeSnapshotContentName'],
      ['CreationTime', 'date', '.status.creationTime'],
      age,
    ],
  },
  {
    ...{ kind: 'VolumeSnapshotContent', plural: 'volumesnapshotcontents', shortNames: ['vsc', 'vscs'] },
    ...{ scope: 'Cluster', schema: contentSchema, hasStatus: true },
    columns: [
      ['ReadyToUse', 'boolean', '.status.readyToUse'],
      ['RestoreSize', 'integer', '.status.restoreSize'],
      ['DeletionPolicy', 'string', '.spec.deletionPolicy'],
      ['Driver', 'string', '.spec.driver'],
      ['VolumeSnapshotClass', 'string', '.spec.volumeSnapshotClassName'],
      ['VolumeSnapshot', 'string', '.spec.volumeSnapshotRef.name'],
      ['VolumeSnapshotNamespace', 'string', '.spec.volumeSnapshotRef.namespace'],
      age,
    ],
  },
  {
    ...{ kind: 'VolumeSnapshotClass', plural: 'volumesnapshotclasses', shortNames: ['vsclass', 'vsclasses'] },
    ...{ scope: 'Cluster', schema: classSchema, hasStatus: false },
    columns: [['Driver', 'string', '.driver'], ['DeletionPolicy', 'string', '.deletionPolicy'], age],
  },
];

/** What has a group of Kubernetes' own says who approved it. */
const approval = 'https://github.com/kubernetes-csi/external-snapshotter/pull/814';

export const snapshotDefinitions: readonly CustomResourceDefinition[] = wishes.map(
  ({ kind, plural, shortNames, scope, schema, columns, hasStatus }) => ({
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: {
      name: `${plural}.${snapshotGroup}`,
      annotations: { 'api-approved.kubernetes.io': approval },
    },
    spec: {
      group: snapshotGroup,
      names: { kind, listKind: `${kind}List`, plural, singular: kind.toLowerCase(), shortNames },
      scope,
      versions: [
        {
          ...{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: whole(schema) } },
          additionalPrinterColumns: columns.map(([name, type, jsonPath]) => ({ name, type, jsonPath })),
          subresources: hasStatus ? { status: {} } : {},
        },
      ],
    },
  }),
);

function whole(schema: JSONSchemaProps): JSONSchemaProps {
  const { properties = {} } = schema;
  const meta: JSONSchemaProps = { type: 'object' };
  return { ...schema, properties: { apiVersion: text, kind: text, metadata: meta, ...properties } };
}

export interface KindsContext {
  readonly client: ApiClient;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

/** Defines those kinds that are not; what is there is whoever's it is, and stays. Where that may not be done, it is told, and waited for. */
export async function ensureSnapshotKinds({ client, clock, logger, signal }: KindsContext): Promise<void> {
  for (const definition of snapshotDefinitions) {
    const name = definition.metadata?.name ?? '';
    try {
      if (await isThere(client, name)) continue;
      await ensureDefinition(client, definition, { clock, signal });
      logger.info({ definition: name }, 'kind of snapshots defined');
    } catch (error) {
      signal.throwIfAborted();
      if (isAlreadyExists(error)) continue;
      const remedy =
        'let its account create customresourcedefinitions, apply those of external-snapshotter, or say --no-snapshots';
      logger.warn(
        { definition: name, error: describeError(error), remedy },
        'snapshots wait for their kinds',
      );
    }
  }
}

async function isThere(client: ApiClient, name: string): Promise<boolean> {
  try {
    await client.get(customResourceDefinitions, { name });
    return true;
  } catch (error) {
    if (isNotFound(error)) return false;
    throw error;
  }
}
