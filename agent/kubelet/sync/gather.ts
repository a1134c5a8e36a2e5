/** What is read before an intent becomes an action: the objects and files that a container's environment is made of. */
import { existsSync } from 'node:fs';
import { describeError, PodwrightError } from '#base/errors.ts';
import type { ConfigMap, FileKeySelector, Pod, Secret } from '#api/generated/objects.ts';
import type { HandlerFeatures, PodObservation } from '#agent/runtime/runtime.ts';
import type { SandboxReading } from '#agent/kubelet/render/render-action.ts';
import { cdiIdsOf } from '#agent/device/claims/pod-claims.ts';
import type { MountedVolumes } from '#agent/volume/pod-volumes.ts';
import { readInside } from '#agent/volume/sub-path.ts';
import type { IntentOf } from '#agent/kubelet/render/action.ts';
import { wantsDefaultProfile } from '#agent/kubelet/render/apparmor.ts';
import { parseEnvFile } from '#agent/kubelet/render/env-file.ts';
import { envFileKey, environmentReferences } from '#agent/kubelet/render/environment.ts';
import { localhostProfileOf, profileBytesMax } from '#agent/kubelet/render/seccomp.ts';
import { containersOf } from './pod-input.ts';
import type { PodMemory } from './pod-memory.ts';
import type { KubeletPorts } from '#agent/kubelet/ports.ts';
import type { RenderInput } from '#agent/kubelet/render/render-input.ts';
import type { StartReading, StartSources } from '#agent/kubelet/render/render-start.ts';

/** The pod and the node as they are now. */
export function renderInput(memory: PodMemory, actual: PodObservation, ports: KubeletPorts): RenderInput {
  const { mounted, volumeChanges, resize, claims } = memory.facts;
  const { node, dns, directories } = ports;
  const { pod } = memory.desired;
  const prepared = claims.state === 'ready' ? claims.prepared : undefined;
  const { allocated } = resize;
  return { pod, allocated, actual, mounted, prepared, volumeChanges, node, dns, directories };
}

/** What the start of a container takes. A failure is a reading, too: it is shown in the pod's status. */
export async function gatherStart(
  intent: IntentOf<'startContainer'>,
  input: RenderInput,
  { ports, signal }: { readonly ports: KubeletPorts; readonly signal: AbortSignal },
): Promise<StartReading> {
  try {
    const sources = await readSources(intent, input, ports);
    const cdiIds = cdiIdsFor(intent.container, input);
    if (ports.devices === undefined && cdiIds.length > 0)
      throw new PodwrightError(
        'E_UNSUPPORTED',
        `CDI device ${cdiIds.join(', ')} is not supported by this node`,
      );
    const devices = await ports.devices?.start(input.pod, intent.container, signal, cdiIds);
    return devices === undefined ? sources : { ...sources, devices };
  } catch (failure) {
    signal.throwIfAborted();
    return { failure };
  }
}

/** Who makes the containers of a pod, as its RuntimeClass says; a failure is shown where the sandbox fails. */
export async function gatherSandbox(
  { pod }: RenderInput,
  { ports, signal }: { readonly ports: KubeletPorts; readonly signal: AbortSignal },
): Promise<SandboxReading> {
  const { runtimeClassName: name } = pod.spec ?? {};
  if (name === undefined || name === '') return { handler: '' };
  try {
    const found = await ports.objects.runtimeClass(pod.metadata?.uid ?? '', name);
    if (found === undefined) return { problem: `runtimeclass.node.k8s.io ${JSON.stringify(name)} not found` };
    return readHandler(found.handler, pod, ports.runtime.handlers);
  } catch (error) {
    signal.throwIfAborted();
    return { problem: `failed to lookup RuntimeClass ${name}: ${describeError(error)}` };
  }
}

/** Runtimes of before the field say none of theirs: then they are asked (pkg/kubelet/userns, HandlerSupportsUserNamespaces). */
export function readHandler(
  handler: string,
  { spec }: Pod,
  handlers: ReadonlyMap<string, HandlerFeatures>,
): SandboxReading {
  const features = handlers.get(handler);
  if (handlers.size === 0) return { handler };
  if (features === undefined) return { problem: `RuntimeHandler ${JSON.stringify(handler)} not supported` };
  if (spec?.hostUsers !== false || features.userNamespaces) return { handler };
  const why = `RuntimeClass handler ${JSON.stringify(handler)} does not support user namespaces`;
  return { problem: `can't set \`spec.hostUsers: false\`, ${why}` };
}

async function readSources(
  { container: name, imageId }: IntentOf<'startContainer'>,
  { pod, mounted }: RenderInput,
  { objects, services, runtime, directories, appArmor: profiles }: KubeletPorts,
): Promise<StartSources> {
  const { uid = '', namespace = '' } = pod.metadata ?? {};
  const container = containersOf(pod).find(({ spec }) => spec.name === name)?.spec;
  const { seccomp } = directories;
  const profile = container === undefined ? undefined : localhostProfileOf(pod, container);
  const references = environmentReferences(container ?? { name });
  const configMaps = new Map<string, ConfigMap>();
  const secrets = new Map<string, Secret>();
  await Promise.all([
    ...references.configMaps.map(async (each) => {
      const object = await objects.configMap(uid, namespace, each);
      if (object !== undefined) configMaps.set(each, object);
    }),
    ...references.secrets.map(async (each) => {
      const object = await objects.secret(uid, namespace, each);
      if (object !== undefined) secrets.set(each, object);
    }),
  ]);
  const envFiles = await readEnvFiles(references.files, mounted);
  const seccompProfile =
    profile === undefined || seccomp === undefined || !existsSync(seccomp)
      ? undefined
      : await readInside(seccomp, profile, profileBytesMax);
  const image = runtime.images.resolve(imageId);
  const appArmor = await profiles?.profiles(container !== undefined && wantsDefaultProfile(pod, container));
  return { configMaps, secrets, envFiles, services: services(), image, seccompProfile, appArmor };
}

/** The devices of CDI that a container has by its claims. */
function cdiIdsFor(name: string, { pod, prepared }: RenderInput): readonly string[] {
  const container = containersOf(pod).find(({ spec }) => spec.name === name)?.spec;
  return container === undefined || prepared === undefined ? [] : cdiIdsOf(container, prepared, pod);
}

/** Bound of an env file, bytes: as the kubelet has it. */
const envFileBytesMax = 64 * 1024;

async function readEnvFiles(
  files: readonly FileKeySelector[],
  mounted: MountedVolumes | undefined,
): Promise<ReadonlyMap<string, ReadonlyMap<string, string>>> {
  const read = new Map<string, ReadonlyMap<string, string>>();
  for (const file of files) {
    const volume = mounted?.byName.get(file.volumeName);
    if (volume === undefined)
      throw new PodwrightError('E_NOT_FOUND', `volume "${file.volumeName}" of an env file is not mounted`);
    const text = await readInside(volume.path, file.path, envFileBytesMax);
    if (text !== undefined) read.set(envFileKey(file), parseEnvFile(text));
  }
  return read;
}
