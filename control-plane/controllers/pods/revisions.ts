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
}

/**
 * The name of the template's revision (`<owner>-<hash>`), after making sure that its ControllerRevision exists, is the
 * newest, and that old ones beyond the limit are gone. What an owner of before left behind is adopted.
 */
export async function ensureRevision<O extends KubeObject>(
  { client }: ControllerContext,
  informer: WritableInformer<ControllerRevision>,
  wanted: RevisionOwner<O>,
): Promise<{ readonly name: string; readonly hash: string }> {
  const { kind, owner, template } = wanted;
  const { name: ownerName = '', namespace, uid = '', annotations } = owner.metadata ?? {};
  const adopt = orphansOf(informer, owner, wanted.selector).filter(
    ({ metadata }) =>
      metadata?.deletionTimestamp === undefined && matchesLabels(wanted.selector, metadata?.labels),
  );
  const claimer = { client, ownerKind: kind, kind: controllerRevisions, informer };
  await settleClaims(claimer, owner, { adopt, release: [] });
  const existing = informer.byIndex('controller', uid).toSorted((a, b) => a.revision - b.revision);
  const data = revisionData(template);
  const hash = templateHash(template);
  const name = `${ownerName}-${hash}`;
  const last = existing.at(-1);
  // The newest, or two that are equal would be made the newest in turns.
  const found = existing.findLast((one) => one.metadata?.name === name || equalJson(one.data, data));
  const hashOf = ({ metadata }: ControllerRevision): string | undefined =>
    metadata?.labels?.[wanted.hashLabel] ?? metadata?.labels?.[olderHashLabel];
  const next = (last?.revision ?? 0) + 1;
  if (found === undefined) {
    const metadata = {
      name,
      namespace,
      labels: { ...template.metadata?.labels, [wanted.hashLabel]: hash },
      // `kubectl rollout history` reads there why it was made.
      ...(annotations === undefined ? {} : { annotations }),
      ownerReferences: [ownerReference(owner, kind)],
    };
    try {
      informer.observe(await client.create(controllerRevisions, { metadata, data, revision: next }));
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
    }
  } else if (found !== last) {
    // Rolled back to: the same template is the newest again.
    informer.observe(await client.update(controllerRevisions, { ...found, revision: next }));
  }
  const isUsed = (one: ControllerRevision): boolean => wanted.usedHashes.has(hashOf(one) ?? '');
  const old = existing.filter((one) => one !== found && !isUsed(one));
  for (const one of old.slice(0, Math.max(0, old.length - wanted.historyLimit))) {
    try {
      await client.delete(controllerRevisions, { namespace, name: one.metadata?.name ?? '' });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }
  return { name: found?.metadata?.name ?? name, hash: (found && hashOf(found)) ?? hash };
}
