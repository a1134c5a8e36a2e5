import type {
  PersistentVolume,
  Pod,
  ResourceSlice,
  SecretReference,
  VolumeAttachment,
} from '#api/generated/objects.ts';
import { localVolumeNode } from '#api/volume/local-volumes.ts';
import { referencesOf } from '#api/pod/references.ts';

/** What a pod ties to the node that it is bound to. */
interface Bound {
  readonly node: string;
  /** Whether it may come to name more while it runs: claims that are made for it. */
  readonly mayNameMore: boolean;
  readonly isOver: boolean;
  readonly keys: readonly string[];
}

/**
 * Which objects are a node's business: its pods, what these name, the volumes of their claims with the secrets of these, and what says
 * itself that it is the node's (plugin/pkg/auth/authorizer/node). Each question is a look-up or two, however many pods there are.
 */
export class NodeGraph {
  /** By node and object, how many pods tie them. */
  readonly #ties = new Map<string, Map<string, number>>();
  /** By pod, `namespace/name`. */
  readonly #pods = new Map<string, Bound>();
  /** Of a bound volume: its claim, `namespace/name`, and its secrets. */
  readonly #volumes = new Map<string, { readonly claim: string; readonly secrets: readonly string[] }>();
  /** Of volumes that nodes make: the node. */
  readonly #makers = new Map<string, string>();
  /** By secret, `namespace/name`: the volumes that name it. */
  readonly #volumesOfSecret = new Map<string, Set<string>>();

  /** Whether there is nothing to be learnt of a pod that is there and so. '' for no node. */
  isTied(key: string, now: { readonly node: string; readonly isOver: boolean }): boolean {
    const bound = this.#pods.get(key);
    if (bound === undefined) return now.node === '';
    return bound.node === now.node && bound.isOver === now.isOver && !bound.mayNameMore;
  }

  putPod(key: string, pod: Pod): void {
    const { metadata: { namespace = '' } = {}, spec, status } = pod;
    this.removePod(key);
    const node = spec?.nodeName ?? '';
    if (node === '') return;
    const isOver = status?.phase === 'Succeeded' || status?.phase === 'Failed';
    const named = isOver ? [] : [...referencesOf(pod)].map((reference) => inNamespace(reference, namespace));
    this.#tie(key, {
      node,
      isOver,
      mayNameMore: !isOver && mayNameMore(pod),
      keys: [`pods/${key}`, ...named],
    });
  }

  removePod(key: string): void {
    const bound = this.#pods.get(key);
    if (bound === undefined) return;
    this.#pods.delete(key);
    const ties = this.#ties.get(bound.node);
    if (ties === undefined) return;
    for (const one of bound.keys) {
      const count = (ties.get(one) ?? 1) - 1;
      if (count === 0) ties.delete(one);
      else ties.set(one, count);
    }
    if (ties.size === 0) this.#ties.delete(bound.node);
  }

  putVolume(volume: PersistentVolume): void {
    const { metadata: { name = '' } = {}, spec } = volume;
    this.removeVolume(name);
    const maker = localVolumeNode(volume);
    if (maker !== undefined) this.#makers.set(name, maker);
    const { claimRef } = spec ?? {};
    if (claimRef === undefined) return;
    const claimNamespace = claimRef.namespace ?? '';
    const secrets = secretsOfVolume(spec, claimNamespace);
    this.#volumes.set(name, { claim: `${claimNamespace}/${claimRef.name ?? ''}`, secrets });
    for (const secret of secrets) {
      const volumes = this.#volumesOfSecret.get(secret) ?? new Set<string>();
      this.#volumesOfSecret.set(secret, volumes.add(name));
    }
  }

  removeVolume(name: string): void {
    for (const secret of this.#volumes.get(name)?.secrets ?? []) {
      const volumes = this.#volumesOfSecret.get(secret);
      if (volumes?.delete(name) === true && volumes.size === 0) this.#volumesOfSecret.delete(secret);
    }
    this.#volumes.delete(name);
    this.#makers.delete(name);
  }

  /** Whether the node makes, and removes, the volume itself. */
  hasMade(node: string, name: string): boolean {
    return this.#makers.get(name) === node;
  }

  /** Of what names its node itself. `key`: `volumeattachments/NAME`, `resourceslices/NAME`. */
  putOwn(key: string, node: string | undefined): void {
    this.removePod(key);
    if (node !== undefined && node !== '')
      this.#tie(key, { node, isOver: false, mayNameMore: false, keys: [key] });
  }

  /** Whether the object is the node's business. `resource`: of the kinds that this knows of. */
  concerns(node: string, resource: string, namespace: string, name: string): boolean {
    const ties = this.#ties.get(node);
    if (ties === undefined) return false;
    const key = namespace === '' ? `${resource}/${name}` : `${resource}/${namespace}/${name}`;
    if (ties.has(key)) return true;
    if (resource === 'persistentvolumes') return this.#hasVolume(ties, name);
    if (resource !== 'secrets') return false;
    const volumes = this.#volumesOfSecret.get(`${namespace}/${name}`) ?? [];
    return [...volumes].some((volume) => this.#hasVolume(ties, volume));
  }

  #hasVolume(ties: ReadonlyMap<string, number>, name: string): boolean {
    const claim = this.#volumes.get(name)?.claim;
    return claim !== undefined && ties.has(`persistentvolumeclaims/${claim}`);
  }

  #tie(key: string, bound: Bound): void {
    this.#pods.set(key, bound);
    const ties = this.#ties.get(bound.node) ?? new Map<string, number>();
    this.#ties.set(bound.node, ties);
    for (const one of bound.keys) ties.set(one, (ties.get(one) ?? 0) + 1);
  }
}

function mayNameMore({ spec, status }: Pod): boolean {
  return (spec?.resourceClaims ?? []).length > 0 || status?.extendedResourceClaimStatus !== undefined;
}

/** `secrets/NAME` → `secrets/NAMESPACE/NAME`. */
function inNamespace(reference: string, namespace: string): string {
  const slash = reference.indexOf('/');
  return `${reference.slice(0, slash)}/${namespace}${reference.slice(slash)}`;
}

/** pkg/api/v1/persistentvolume, VisitPVSecretNames; each as `namespace/name`. */
function secretsOfVolume(spec: PersistentVolume['spec'], claimNamespace: string): readonly string[] {
  const { azureFile, cephfs, cinder, flexVolume, rbd, scaleIO, iscsi, storageos, csi } = spec ?? {};
  const references: readonly (Pick<SecretReference, 'name' | 'namespace'> | undefined)[] = [
    azureFile && { name: azureFile.secretName, namespace: azureFile.secretNamespace },
    ...[cephfs, cinder, flexVolume, rbd, scaleIO, iscsi, storageos].map((source) => source?.secretRef),
    csi?.controllerPublishSecretRef,
    csi?.nodePublishSecretRef,
    csi?.nodeStageSecretRef,
    csi?.controllerExpandSecretRef,
    csi?.nodeExpandSecretRef,
  ];
  return references.flatMap((reference) => {
    if (reference?.name === undefined || reference.name === '') return [];
    const { namespace } = reference;
    return [`${namespace === undefined || namespace === '' ? claimNamespace : namespace}/${reference.name}`];
  });
}

/** The node of an attachment or of a slice. */
export function nodeOf({ spec }: VolumeAttachment | ResourceSlice): string | undefined {
  return spec?.nodeName ?? undefined;
}
