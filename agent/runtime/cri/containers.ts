/** RuntimeService of containers. */
import { randomBytes } from 'node:crypto';
import { describeError, isPodwrightError } from '#base/errors.ts';
import type { ContainerConfig, ContainerFilter, Mount, PodSandboxConfig } from '#proto/cri/api.ts';
import { refusal } from '#proto/status.ts';
import {
  containerOf,
  mustBeOwn,
  mustRun,
  sandboxOf,
  type CriContext,
  type RuntimeHandlers,
} from './context.ts';
import { findCdiDevices, findDevices, findFiles, findImages, readProfile } from './gather-container.ts';
import { inParts } from './parts.ts';
import { podFileMounts } from './pod-files.ts';
import type { ContainerRecord } from './records.ts';
import { wantsDefaultProfile } from './render-confinement.ts';
import { containerConfigOf, seccompFileOf } from './render-container.ts';
import { cgroupResourcesOf, mergeResources } from './render-resources.ts';
import { sandboxNamespaces } from './render-sandbox.ts';
import { imageOf, orNone } from './sandboxes.ts';
import { passes, renderContainer, renderContainerStatus, viewAll, type ContainerView } from './views.ts';

const stateNames = {
  CONTAINER_CREATED: 'created',
  CONTAINER_RUNNING: 'running',
  CONTAINER_EXITED: 'exited',
} as const;

export function containerHandlers(context: CriContext): RuntimeHandlers {
  const { book, runtime } = context;
  const listed = (filter: ContainerFilter | null): readonly ContainerView[] => {
    const all = viewAll(book, runtime).flatMap(({ containers }) => containers);
    return all.filter((view) => passes(filter, view) && isOf(filter, view));
  };
  const own = (id: string): ContainerView => {
    const view = containerOf(context, id);
    mustBeOwn(sandboxOf(context, view.sandboxId));
    return view;
  };
  return {
    CreateContainer: async ({ pod_sandbox_id: id, config }) => {
      if (config === null) throw refusal('INVALID_ARGUMENT', 'create a container: config must be given');
      return { container_id: await createContainer(context, id, config) };
    },
    StartContainer: async ({ container_id: id }, { signal }) => {
      await startContainer(context, own(id), signal);
      return {};
    },
    StopContainer: async ({ container_id: id, timeout }, { signal }) => {
      const view = orNone(() => own(id));
      if (view !== undefined) await runtime.stopContainer(view.uid, view.id, Math.max(0, timeout), signal);
      return {};
    },
    RemoveContainer: async ({ container_id: id }, { signal }) => {
      const view = orNone(() => own(id));
      if (view === undefined) return {};
      using _turn = await context.turns.take(`remove/${view.id}`);

      await removeContainer(context, view, signal);
      return {};
    },
    ListContainers: ({ filter }) => ({
      containers: listed(filter).map((view) => renderContainer(view, imageOf(context))),
    }),
    async *StreamContainers({ filter }) {
      for (const part of inParts(listed(filter)))
        yield { containers: part.map((view) => renderContainer(view, imageOf(context))) };
    },
    ContainerStatus: ({ container_id: id, verbose }) => {
      const view = containerOf(context, id);
      return {
        status: renderContainerStatus(view, imageOf(context)),
        ...(verbose ? { info: { info: JSON.stringify(verboseInfo(view)) } } : {}),
      };
    },
    UpdateContainerResources: async ({ container_id: id, linux }) => {
      const view = own(id);
      if (linux !== null) await updateResources(context, view, linux);
      return {};
    },
    ReopenContainerLog: async ({ container_id: id }) => {
      const view = containerOf(context, id);
      mustRun(view);
      await runtime.reopenLog(view.uid, view.id);
      return {};
    },
  };
}

function isOf(filter: ContainerFilter | null, view: ContainerView): boolean {
  if (filter === null) return true;
  const { state, pod_sandbox_id: sandboxId } = filter;
  if (!view.sandboxId.startsWith(sandboxId)) return false;
  return (
    state === null || (state.state !== 'CONTAINER_UNKNOWN' && stateNames[state.state] === view.state.state)
  );
}

/** Nothing of its environment, which may be secret. */
function verboseInfo({ sandboxId, state, record }: ContainerView): object {
  const { env: _env, ...launch } = record?.launch ?? { env: [] };
  return {
    sandboxID: sandboxId,
    state,
    pid: state.state === 'running' ? state.pid : undefined,
    config: launch,
  };
}

/** @throws NOT_FOUND, ALREADY_EXISTS, FAILED_PRECONDITION, INVALID_ARGUMENT, UNIMPLEMENTED */
async function createContainer(
  context: CriContext,
  sandboxId: string,
  config: ContainerConfig,
): Promise<string> {
  const { book, runtime, clock, isSelinuxEnabled } = context;
  const sandbox = sandboxOf(context, sandboxId);
  mustBeOwn(sandbox);
  const record = book.sandbox(sandbox.uid);
  if (!sandbox.isReady || record === undefined)
    throw refusal('FAILED_PRECONDITION', `create a container in sandbox ${sandbox.id}: it is not ready`);
  const { name = '', attempt = 0 } = config.metadata ?? {};
  using _turn = await context.turns.take(`container/${sandbox.uid}/${name}/${attempt}`);

  checkNameIsFree(context, sandbox.id, { name, attempt });
  const reference = config.image?.image ?? '';
  const image = reference === '' ? undefined : runtime.images.resolve(reference);
  if (image === undefined)
    throw refusal('NOT_FOUND', `create container ${name}: no image ${JSON.stringify(reference)}`);
  const id = randomBytes(32).toString('hex');
  const security = config.linux?.security_context ?? null;
  const made = sandboxNamespaces(record.config.linux?.security_context?.namespace_options);
  const images = findImages(config.mounts, runtime.images);
  const launch = containerConfigOf(config, {
    ...{ id, made, sandbox: record.config, imageId: image.id, isSelinuxEnabled, images },
    files: await findFiles(config.mounts),
    devices: await findDevices(config.devices),
    profile: await readProfile(seccompFileOf(security)),
    appArmor: await context.appArmor?.profiles(wantsDefaultProfile(security)),
    given: await findCdiDevices(config, context.cdiDirectories),
    ownMounts: podFileMounts(book.directoryOf(sandbox.uid), made),
  });
  const target = launch.pidTarget === undefined ? undefined : containerOf(context, launch.pidTarget);
  book.putContainer({
    ...{ version: 1, id, sandboxUid: sandbox.uid },
    metadata: { name, attempt },
    image: config.image ?? noImage,
    labels: config.labels,
    annotations: config.annotations,
    mounts: config.mounts.map((mount) => withImageRef(mount, images)),
    resources: config.linux?.resources ?? null,
    stopSignal: config.stop_signal,
    createdAtMs: clock.now(),
    launch: target === undefined ? launch : { ...launch, pidTarget: target.id },
  });
  return id;
}

/** Of a volume that is an image, which one it was when the container was made (KEP-5365). */
function withImageRef(mount: Mount, images: ReadonlyMap<string, string>): Mount {
  const { image } = mount;
  const id = images.get(image?.image ?? '');
  return image === null || id === undefined ? mount : { ...mount, image: { ...image, image_ref: id } };
}

const noImage = { image: '', annotations: {}, user_specified_image: '', runtime_handler: '', image_ref: '' };

function checkNameIsFree(
  context: CriContext,
  sandboxId: string,
  { name, attempt }: { readonly name: string; readonly attempt: number },
): void {
  const other = sandboxOf(context, sandboxId).containers.find(
    ({ metadata }) => metadata.name === name && metadata.attempt === attempt,
  );
  if (other !== undefined)
    throw refusal('ALREADY_EXISTS', `create container ${name}, attempt ${attempt}: it is ${other.id}`);
}

/** @throws FAILED_PRECONDITION where it was started already, UNKNOWN where it cannot start: it then has ended with StartError */
async function startContainer(
  { book, runtime, clock, turns }: CriContext,
  view: ContainerView,
  signal: AbortSignal,
): Promise<void> {
  using _turn = await turns.take(`start/${view.id}`);

  const { record } = view;
  const isBegun = runtime.observe(view.uid)?.containers.some(({ id }) => id === view.id) === true;
  if (record === undefined || isBegun || view.state.state !== 'created')
    throw refusal('FAILED_PRECONDITION', `start container ${view.id}: it was started before`);
  try {
    await runtime.startContainer(view.uid, revived(record), signal);
  } catch (error) {
    const isSeen = runtime.observe(view.uid)?.containers.some(({ id }) => id === view.id) === true;
    const failure = { atMs: clock.now(), message: describeError(error) };
    // A sandbox that died, or a client that went: it may be tried again, or removed.
    const isTried = isPodwrightError(error) && !['E_CLOSED', 'E_CONNECTION'].includes(error.code);
    if (!isSeen && isTried && !signal.aborted) book.putContainer({ ...record, failure });
    throw error;
  }
}

/** JSON leaves out what is undefined. */
function revived({ launch }: ContainerRecord): ContainerRecord['launch'] {
  const { stdio } = launch;
  return {
    ...launch,
    workingDir: launch.workingDir,
    stopSignal: launch.stopSignal,
    stdio: { ...stdio, logPath: stdio.logPath },
  };
}

/** One that runs is killed. */
async function removeContainer(
  { book, runtime }: CriContext,
  view: ContainerView,
  signal: AbortSignal,
): Promise<void> {
  await runtime.stopContainer(view.uid, view.id, 0, signal);
  await runtime.removeContainer(view.uid, view.id, { withLogs: false });
  if (view.record !== undefined) await book.removeContainer(view.record);
}

/** @throws FAILED_PRECONDITION for one that has ended */
async function updateResources(
  { book, runtime }: CriContext,
  view: ContainerView,
  linux: NonNullable<NonNullable<PodSandboxConfig['linux']>['resources']>,
): Promise<void> {
  const { record, state } = view;
  const resources = cgroupResourcesOf(linux);
  if (record === undefined || state.state === 'exited')
    throw refusal('FAILED_PRECONDITION', `update container ${view.id}: it has ended`);
  if (state.state === 'running') await runtime.updateContainerResources(view.uid, view.id, resources);
  const merged = mergeResources(record.resources, linux);
  const launch = {
    ...record.launch,
    resources: cgroupResourcesOf(merged),
    oomScoreAdj: merged.oom_score_adj,
  };
  book.putContainer({ ...record, resources: merged, launch });
}
