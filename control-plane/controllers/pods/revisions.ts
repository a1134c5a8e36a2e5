import { PodwrightError } from '#base/errors.ts';
import { equalJson, isObject, objectOf } from '#api/wire/json.ts';
import { controllerRevisions, type KindRef } from '#api/schema/kind-ref.ts';
import type { KubeObject } from '#api/meta/object.ts';
import type { ControllerRevision, PodTemplateSpec } from '#api/generated/objects.ts';
import { ownerReference } from '#api/meta/owner.ts';
import { matchesLabels, type LabelMatcher } from '#api/meta/selector.ts';
import { isAlreadyExists, isNotFound } from '#client/api-error.ts';
import type { WritableInformer } from '#client/informer.ts';
import type { ControllerContext } from '#control-plane/controllers/controller-context.ts';
import { templateHash } from '#control-plane/controllers/deployment/revision.ts';
import { orphansOf, settleClaims } from './claim.ts';

/**
 * A template as the data of a ControllerRevision holds it: a strategic merge patch that puts it back (kubectl rollout undo). Its members
 * are in the order of their names, as Go writes maps: clients compare the bytes with those that they make of a template.
 */
export function revisionData(template: PodTemplateSpec): object {
  return { spec: { template: objectOf(sorted({ ...template, $patch: 'replace' })) } };
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isObject(value)) return value;
  const names = Object.keys(value).filter((name) => value[name] !== undefined);
  return Object.fromEntries(names.toSorted(byBytes).map((name) => [name, sorted(value[name])]));
}

const byBytes = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** Where those that a StatefulSet made before have their hash. */
const olderHashLabel = 'controller-revision-hash';

export interface RevisionOwner<O> {
  readonly kind: KindRef<O>;
  readonly owner: O;
  readonly template: PodTemplateSpec;
  /** Whom it selects: orphans of those labels were of an owner of the same name, and are its history. */
  readonly selector: LabelMatcher;
  readonly historyLimit: number;
  readonly hashLabel: string;
  /** Hashes that pods still carry: their revisions stay. */
  readonly usedHashes: ReadonlySet<string>;
  /** Of its status: how often the name for a template was taken by another's. */
  readonly collisionCount: number | undefined;
}

export interface EnsuredRevision {
  /** `<owner>-<hash>`. */
  readonly name: string;
  readonly hash: string;
  /** For its status; undefined where no name was ever taken. */
  readonly collisionCount: number | undefined;
}

/** Names that are tried for one template before it is left to the next look. */
const collisionsMax = 10;

/**
 * The template's revision, after making sure that its ControllerRevision exists, is the newest, and that old ones beyond the
 * limit are gone. What an owner of before left behind is adopted.
 */
export async function ensureRevision<O extends KubeObject>(
  { client }: ControllerContext,
  informer: WritableInformer<ControllerRevision>,
  wanted: RevisionOwner<O>,
): Promise<EnsuredRevision> {
  const { kind, owner } = wanted;
  const { name: ownerName = '', namespace, uid = '' } = owner.metadata ?? {};
  const adopt = orphansOf(informer, owner, wanted.selector).filter(
    ({ metadata }) =>
      metadata?.deletionTimestamp === undefined && matchesLabels(wanted.selector, metadata?.labels),
  );
  const claimer = { client, ownerKind: kind, kind: controllerRevisions, informer };
  await settleClaims(claimer, owner, { adopt, release: [] });
  const existing = informer.byIndex('controller', uid).toSorted((a, b) => a.revision - b.revision);
  const data = revisionData(wanted.template);
  const last = existing.at(-1);
  // The newest, or two that are equal would be made the newest in turns.
  const found = existing.findLast((one) => equalJson(one.data, data));
  const hashOf = ({ metadata }: ControllerRevision): string | undefined =>
    metadata?.labels?.[wanted.hashLabel] ?? metadata?.labels?.[olderHashLabel];
  const next = (last?.revision ?? 0) + 1;
  const { revision, collisionCount } =
    found === undefined
      ? await createRevision(client, wanted, next)
      : { revision: found, collisionCount: wanted.collisionCount };
  if (found === undefined) informer.observe(revision);
  // Rolled back to: the same template is the newest again.
  else if (found !== last)
    informer.observe(await client.update(controllerRevisions, { ...found, revision: next }));
  const isUsed = (one: ControllerRevision): boolean => wanted.usedHashes.has(hashOf(one) ?? '');
  const old = existing.filter((one) => one !== found && !isUsed(one));
  for (const one of old.slice(0, Math.max(0, old.length - wanted.historyLimit))) {
    try {
      await client.delete(controllerRevisions, { namespace, name: one.metadata?.name ?? '' });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }
  const { name = '' } = revision.metadata ?? {};
  return { name, hash: hashOf(revision) ?? name.slice(ownerName.length + 1), collisionCount };
}

/** The revision of a template that has none: by the first name that is free, or is that of its own data already. */
async function createRevision<O extends KubeObject>(
  client: ControllerContext['client'],
  { kind, owner, template, hashLabel, collisionCount: known }: RevisionOwner<O>,
  revision: number,
): Promise<{ readonly revision: ControllerRevision; readonly collisionCount: number | undefined }> {
  const { name: ownerName = '', namespace, annotations } = owner.metadata ?? {};
  const data = revisionData(template);
  let collisionCount = known;
  for (let tried = 0; tried < collisionsMax; tried++) {
    const hash = templateHash(template, collisionCount);
    const name = `${ownerName}-${hash}`;
    const metadata = {
      ...{ name, namespace },
      labels: { ...template.metadata?.labels, [hashLabel]: hash },
      // `kubectl rollout history` reads there why it was made.
      ...(annotations === undefined ? {} : { annotations }),
      ownerReferences: [ownerReference(owner, kind)],
    };
    try {
      const made = await client.create(controllerRevisions, { metadata, data, revision });
      return { revision: made, collisionCount };
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
    }
    const there = await client.get(controllerRevisions, { namespace, name });
    if (equalJson(there.data, data)) return { revision: there, collisionCount };
    collisionCount = (collisionCount ?? 0) + 1;
  }
  const what = `create a ControllerRevision for ${kind.kind} ${namespace ?? ''}/${ownerName}`;
  throw new PodwrightError('E_LIMIT', `${what}: ${collisionsMax} names are taken by other templates`);
}
