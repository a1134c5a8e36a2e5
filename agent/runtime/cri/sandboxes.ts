/** RuntimeService of sandboxes. */
import { randomUUID } from 'node:crypto';
import { describeError, isPodwrightError } from '#base/errors.ts';
import type { PodSandboxConfig, PodSandboxFilter } from '#proto/cri/api.ts';
import { refusal, statusNameOf } from '#proto/status.ts';
import { sandboxIdOf } from '#agent/runtime/plan/plan-sandbox.ts';
import { mustBeOwn, sandboxOf, type CriContext, type RuntimeHandlers } from './context.ts';
import { claimLogDirectory, makePodFiles } from './pod-files.ts';
import { criUidPrefix, type SandboxRecord } from './records.ts';
import { mergeResources } from './render-resources.ts';
import { sandboxConfigOf } from './render-sandbox.ts';
import { inParts } from './parts.ts';
import {
  nanoseconds,
  passes,
  renderContainerStatus,
  renderSandbox,
  renderSandboxStatus,
  viewAll,
  type SandboxView,
} from './views.ts';

export function sandboxHandlers(context: CriContext): RuntimeHandlers {
  const { book, runtime } = context;
  const listed = (filter: PodSandboxFilter | null): readonly SandboxView[] =>
    viewAll(book, runtime).filter(
      (view) =>
        passes(filter, view) &&
        (filter === null ||
          filter.state === null ||
          (filter.state.state === 'SANDBOX_READY') === view.isReady),
    );
  return {
    RunPodSandbox: async ({ config, runtime_handler: handler }, { signal }) => {
      if (config === null) throw refusal('INVALID_ARGUMENT', 'run a sandbox: config must be given');
      if (!runtime.handlers.has(handler))
        throw refusal(
          'INVALID_ARGUMENT',
          `run a sandbox: there is no runtime handler ${JSON.stringify(handler)}`,
        );
      return { pod_sandbox_id: await runSandbox(context, { config, handler }, signal) };
    },
    StopPodSandbox: async ({ pod_sandbox_id: id }, { signal }) => {
      const view = orNone(() => sandboxOf(context, id));
      if (view === undefined) return {};
      mustBeOwn(view);
      using _turn = await context.turns.take(`end/${view.uid}`);

      await runtime.stopSandbox(view.uid, signal);
      return {};
    },
    RemovePodSandbox: async ({ pod_sandbox_id: id }, { signal }) => {
      const view = orNone(() => sandboxOf(context, id));
      if (view === undefined) return {};
      mustBeOwn(view);
      using _turn = await context.turns.take(`end/${view.uid}`);

      await removeSandbox(context, view.uid, signal);
      return {};
    },
    PodSandboxStatus: ({ pod_sandbox_id: id, verbose }) => {
      const view = sandboxOf(context, id);
      const record = book.sandbox(view.uid);
      const pod = runtime.observe(view.uid);
      return {
        status: renderSandboxStatus(view),
        containers_statuses: view.containers.map((each) => renderContainerStatus(each, imageOf(context))),
        timestamp: nanoseconds(context.clock.now()),
        ...(verbose
          ? {
              info: {
                info: JSON.stringify({ config: record?.config, sandbox: pod?.sandbox, runtimeUid: view.uid }),
              },
            }
          : {}),
      };
    },
    ListPodSandbox: ({ filter }) => ({ items: listed(filter).map(renderSandbox) }),
    async *StreamPodSandboxes({ filter }) {
      for (const part of inParts(listed(filter))) yield { pod_sandboxes: part.map(renderSandbox) };
    },
    UpdatePodSandboxResources: ({ pod_sandbox_id: id, overhead, resources }) => {
      const view = sandboxOf(context, id);
      mustBeOwn(view);
      const record = book.sandbox(view.uid);
      // Kept, and shown: in force are the pod's limits of the kubelet, on the cgroup above (render-sandbox.ts).
      if (record !== undefined) book.putSandbox(withResources(record, { overhead, resources }));
      return {};
    },
  };
}

type SandboxResources = Pick<NonNullable<PodSandboxConfig['linux']>, 'overhead' | 'resources'>;

function withResources(record: SandboxRecord, asked: SandboxResources): SandboxRecord {
  const linux = record.config.linux ?? { cgroup_parent: '', security_context: null, sysctls: {}, ...asked };
  const merged = {
    ...linux,
    overhead: asked.overhead === null ? linux.overhead : mergeResources(linux.overhead, asked.overhead),
    resources: asked.resources === null ? linux.resources : mergeResources(linux.resources, asked.resources),
  };
  return { ...record, config: { ...record.config, linux: merged } };
}

export const imageOf =
  ({ runtime }: Pick<CriContext, 'runtime'>) =>
  (id: string): ReturnType<CriContext['runtime']['images']['resolve']> =>
    id === '' ? undefined : runtime.images.resolve(id);

/** What is not there any more was ended already (the contract of Stop and Remove). */
export function orNone<T>(find: () => T): T | undefined {
  try {
    return find();
  } catch (error) {
    if (statusNameOf(error) === 'NOT_FOUND') return undefined;
    throw error;
  }
}

/**
 * Two that say the same name follow one another: a client that gave up, and asks again, waits until what was begun for it is undone.
 * @throws ALREADY_EXISTS, INVALID_ARGUMENT, UNIMPLEMENTED, and what the runtime says
 */
async function runSandbox(
  context: CriContext,
  { config, handler }: { readonly config: PodSandboxConfig; readonly handler: string },
  signal: AbortSignal,
): Promise<string> {
  const { book, runtime, clock } = context;
  const uid = `${criUidPrefix}${randomUUID().replaceAll('-', '')}`;
  const made = { ...sandboxConfigOf(config, { ...context, uid }), runtimeHandler: handler };
  const { namespace, name, podUid } = made;
  const attempt = config.metadata?.attempt ?? 0;
  const key = `sandbox/${namespace}/${name}/${podUid}/${attempt}`;
  using _turn = await context.turns.take(key);

  signal.throwIfAborted();
  const other = viewAll(book, runtime).find(({ isOwn, metadata }) => isOwn && sandboxKey(metadata) === key);
  if (other !== undefined)
    throw refusal(
      'ALREADY_EXISTS',
      `run sandbox ${name}_${namespace}_${podUid}_${attempt}: it is ${other.id}`,
    );
  const id = sandboxIdOf(uid, 0);
  const record: SandboxRecord = {
    ...{ version: 1, uid, id, phase: 'making', config, createdAtMs: clock.now() },
    runtimeHandler: handler,
  };
  await using undo = new AsyncDisposableStack();
  undo.defer(() => removeSandbox(context, uid, new AbortController().signal));
  book.putSandbox(record);
  markLogDirectory(context, config.log_directory);
  makePodFiles(book.directoryOf(uid), made, config.dns_config, context.hostNames);
  await runtime.runSandbox(made, signal);
  signal.throwIfAborted();
  book.putSandbox({ ...record, phase: 'made' });
  undo.move();
  return id;
}

/** A file system without xattrs takes logs as well. */
function markLogDirectory({ log }: CriContext, directory: string): void {
  try {
    claimLogDirectory(directory);
  } catch (error) {
    log.warn(
      { directory, error: describeError(error) },
      'a client’s directory of logs is not marked as such',
    );
  }
}

function sandboxKey({ namespace, name, uid, attempt }: SandboxView['metadata']): string {
  return `sandbox/${namespace}/${name}/${uid}/${attempt}`;
}

/** What runs in it is ended, its record last. */
export async function removeSandbox(
  { book, runtime }: Pick<CriContext, 'book' | 'runtime'>,
  uid: string,
  signal: AbortSignal,
): Promise<void> {
  await runtime.stopSandbox(uid, signal);
  try {
    await runtime.removePod(uid, signal);
  } catch (error) {
    // Somebody else is at the same.
    if (!isPodwrightError(error, 'E_NOT_FOUND')) throw error;
  }
  await book.removeSandbox(uid);
}
