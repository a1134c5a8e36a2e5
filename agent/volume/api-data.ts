import { PodwrightError } from '#base/errors.ts';
import type {
  ClusterTrustBundleProjection,
  ConfigMapProjection,
  ConfigMapVolumeSource,
  DownwardAPIVolumeFile,
  DownwardAPIVolumeSource,
  Pod,
  PodCertificateProjection,
  ProjectedVolumeSource,
  SecretProjection,
  SecretVolumeSource,
  ServiceAccountTokenProjection,
  VolumeProjection,
} from '#api/generated/objects.ts';
import { writeAtomically } from './atomic-writer.ts';
import { inGroups } from './in-groups.ts';
import {
  checkPath,
  configMapData,
  secretData,
  selectItems,
  type Payload,
  type PayloadFile,
} from './payload.ts';
import { trustAnchors } from './trust-bundles.ts';
import type { MountedVolume, VolumeContext, VolumeKind } from './volume.ts';

/**
 * The kinds whose files are made of API data and follow their objects. Secrets and tokens live in memory; the others on disk, as the
 * kubelet has ConfigMaps, where they take nobody's memory.
 */

const defaultFileMode = 0o644;

export const configMap: VolumeKind<ConfigMapVolumeSource> = {
  place: 'disk',
  mount: async (source, context) =>
    writeVolume(await configMapFiles(source, source.defaultMode ?? defaultFileMode, context), context),
};

export const secret: VolumeKind<SecretVolumeSource> = {
  place: 'memory',
  mount: async ({ secretName, ...source }, context) => {
    const projection = { ...source, name: secretName };
    return writeVolume(
      await secretFiles(projection, source.defaultMode ?? defaultFileMode, context),
      context,
    );
  },
};

export const downwardApi: VolumeKind<DownwardAPIVolumeSource> = {
  place: 'disk',
  mount: async ({ items, defaultMode }, context) =>
    writeVolume(downwardFiles(items, defaultMode ?? defaultFileMode, context), context),
};

export const projected: VolumeKind<ProjectedVolumeSource> = {
  place: 'memory',
  mount: async ({ sources = [], defaultMode = defaultFileMode }, context) => {
    const parts = await inGroups(sources, (source) => projectionFiles(source, defaultMode, context));
    const payload = new Map(parts.flatMap((part) => [...part.payload]));
    const refreshAtMs = Math.min(...parts.map((part) => part.refreshAtMs ?? Infinity));
    const mounted = await writeVolume(payload, context);
    return { ...mounted, refreshAtMs: Number.isFinite(refreshAtMs) ? refreshAtMs : undefined };
  },
};

async function writeVolume(payload: Payload, context: VolumeContext): Promise<MountedVolume> {
  await writeAtomically(context.directory, payload, context.fsGroup);
  return { path: context.directory, isReadOnly: true };
}

interface ProjectionPart {
  readonly payload: Payload;
  readonly refreshAtMs?: number;
}

async function projectionFiles(
  projection: VolumeProjection,
  mode: number,
  context: VolumeContext,
): Promise<ProjectionPart> {
  const { configMap: map, secret: hidden, downwardAPI, serviceAccountToken } = projection;
  const { clusterTrustBundle, podCertificate } = projection;
  if (map !== undefined) return { payload: await configMapFiles(map, mode, context) };
  if (hidden !== undefined) return { payload: await secretFiles(hidden, mode, context) };
  if (downwardAPI !== undefined) return { payload: downwardFiles(downwardAPI.items, mode, context) };
  if (serviceAccountToken !== undefined) return tokenFile(serviceAccountToken, mode, context);
  if (clusterTrustBundle !== undefined)
    return { payload: await bundleFile(clusterTrustBundle, mode, context) };
  if (podCertificate !== undefined) return certificateFiles(podCertificate, mode, context);
  const [field = 'nothing'] = Object.keys(projection);
  throw new PodwrightError(
    'E_UNSUPPORTED',
    `volume "${context.volume.name}": projected source ${field} is not supported by this node`,
  );
}

async function configMapFiles(
  { name = '', items, optional }: ConfigMapProjection,
  defaultMode: number,
  { pod, objects, content }: VolumeContext,
): Promise<Payload> {
  const namespace = pod.metadata?.namespace ?? '';
  const object = await objects.configMap(namespace, name);
  if (object !== undefined) {
    const what = `configmap ${namespace}/${name}`;
    return selectItems(configMapData(object), {
      items,
      optional,
      defaultMode,
      what,
      keys: 'config',
      content,
    });
  }
  if (optional === true) return new Map();
  throw new PodwrightError('E_NOT_FOUND', `configmap "${name}" not found`);
}

async function secretFiles(
  { name = '', items, optional }: SecretProjection,
  defaultMode: number,
  { pod, objects, content }: VolumeContext,
): Promise<Payload> {
  const namespace = pod.metadata?.namespace ?? '';
  const object = await objects.secret(namespace, name);
  if (object !== undefined) {
    const what = `secret ${namespace}/${name}`;
    return selectItems(secretData(object), { items, optional, defaultMode, what, keys: 'secret', content });
  }
  if (optional === true) return new Map();
  throw new PodwrightError('E_NOT_FOUND', `secret "${name}" not found`);
}

function downwardFiles(
  items: readonly DownwardAPIVolumeFile[] | undefined,
  defaultMode: number,
  { downward, content }: VolumeContext,
): Payload {
  const value = ({ fieldRef, resourceFieldRef }: DownwardAPIVolumeFile): string => {
    if (fieldRef !== undefined) return downward.field(fieldRef.fieldPath);
    const { containerName = '', resource = '', divisor } = resourceFieldRef ?? {};
    return downward.resource(containerName, resource, divisor);
  };
  return new Map(
    (items ?? []).map((item): [string, PayloadFile] => {
      const text = value(item);
      content.take(Buffer.byteLength(text));
      return [checkPath(item.path), { data: Buffer.from(text), mode: item.mode ?? defaultMode }];
    }),
  );
}

async function tokenFile(
  { path, audience, expirationSeconds = 3600 }: ServiceAccountTokenProjection,
  defaultMode: number,
  context: VolumeContext,
): Promise<ProjectionPart> {
  const { pod, objects, fsGroup, content } = context;
  const { token, refreshAtMs } = await objects.serviceAccountToken({ pod, audience, expirationSeconds });
  content.take(token.length);
  const file = { data: Buffer.from(token), ...readerOf(pod, fsGroup, defaultMode) };
  return { payload: new Map([[checkPath(path), file]]), refreshAtMs };
}

/** The kubelet narrows what proves who a pod is to its reader: the pod's group, or the one user of all its containers. */
function readerOf(
  pod: Pod,
  fsGroup: number | undefined,
  defaultMode: number,
): Pick<PayloadFile, 'mode' | 'uid'> {
  const uid = commonUser(pod);
  return { mode: fsGroup !== undefined || uid !== undefined ? 0o600 : defaultMode, uid };
}

/** The key, the chain of certificates, and both in one file, key first: those that are asked for. */
async function certificateFiles(
  source: PodCertificateProjection,
  defaultMode: number,
  { pod, objects, fsGroup, content, volume, signal }: VolumeContext,
): Promise<ProjectionPart> {
  const { credentialBundlePath = '', keyPath = '', certificateChainPath = '' } = source;
  const wish = { pod, volume: volume.name, source, signal };
  const got = await objects.podCertificate?.(wish);
  if (got === undefined)
    throw new PodwrightError(
      'E_UNSUPPORTED',
      `volume "${volume.name}": projected source podCertificate: nobody can be asked`,
    );
  const { keyPem, chainPem, refreshAtMs } = got;
  const texts: readonly (readonly [string, string])[] = [
    [credentialBundlePath, `${keyPem}${chainPem}`],
    [keyPath, keyPem],
    [certificateChainPath, chainPem],
  ];
  const reader = readerOf(pod, fsGroup, defaultMode);
  const files = texts.flatMap(([file, text]): readonly (readonly [string, PayloadFile])[] => {
    if (file === '') return [];
    content.take(Buffer.byteLength(text));
    return [[checkPath(file), { data: Buffer.from(text), ...reader }]];
  });
  return { payload: new Map(files), refreshAtMs };
}

async function bundleFile(
  source: ClusterTrustBundleProjection,
  mode: number,
  { objects, content }: VolumeContext,
): Promise<Payload> {
  const text = trustAnchors(source, await objects.trustBundles?.());
  content.take(text.length);
  return new Map([[checkPath(source.path), { data: Buffer.from(text), mode }]]);
}

/** The user that all containers run as, if they say so and agree. */
function commonUser(pod: Pod): number | undefined {
  const { initContainers = [], containers = [], securityContext } = pod.spec ?? { containers: [] };
  const users = new Set(
    [...initContainers, ...containers].map((c) => c.securityContext?.runAsUser ?? securityContext?.runAsUser),
  );
  const [user] = users;
  return users.size === 1 ? user : undefined;
}
