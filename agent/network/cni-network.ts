import { timeoutSignal } from '#base/clock.ts';
import { describeError, PodwrightError } from '#base/errors.ts';
import { failureOf } from '#base/failure.ts';
import type { JsonObject } from '#api/meta/object.ts';
import type { CniCommand, CniInvoker } from '#api/cni/invocation.ts';
import {
  renderPluginInput,
  type CniAttachment,
  type NetworkConfigList,
  type PluginConfig,
} from '#api/cni/network-config.ts';
import { emptyResult, parseResult, type CniResult } from '#api/cni/result.ts';
import { isAtLeast } from '#api/cni/version.ts';

/** What a runtime says about a container, whatever the network. */
export interface Attachment {
  readonly containerId: string;
  /** '' if it is gone. */
  readonly netns: string;
  readonly ifname: string;
  readonly args: Readonly<Record<string, string>>;
  readonly capabilityArgs: JsonObject;
}

/** The operations of a network configuration list on its chain of plugins (SPEC.md, section 3). */
export interface CniNetwork {
  /** `onResult` is told, before the next plugin of the chain is called, what there is so far; undone if one fails. */
  add(
    list: NetworkConfigList,
    attachment: Attachment,
    signal: AbortSignal,
    onResult?: (result: CniResult) => Promise<void>,
  ): Promise<CniResult>;
  del(
    list: NetworkConfigList,
    attachment: Attachment,
    previous: CniResult | undefined,
    signal: AbortSignal,
  ): Promise<void>;
  /** Nothing where the list says disableCheck, or is older than CHECK. @throws if the kernel differs from what ADD said */
  check(
    list: NetworkConfigList,
    attachment: Attachment,
    previous: CniResult,
    signal: AbortSignal,
  ): Promise<void>;
  gc(list: NetworkConfigList, valid: readonly CniAttachment[], signal: AbortSignal): Promise<void>;
  status(list: NetworkConfigList, signal: AbortSignal): Promise<void>;
}

/** After a failed ADD the chain is taken down again, within this time. */
const undoTimeoutMs = 30_000;

export function createCniNetwork(invoke: CniInvoker, binDirs: readonly string[]): CniNetwork {
  const call = (
    command: CniCommand,
    attachment: Attachment,
    config: PluginConfig,
    signal: AbortSignal,
  ): Promise<JsonObject | undefined> => {
    const { containerId, netns, ifname, args } = attachment;
    return invoke(config.type, { command, containerId, netns, ifname, args, path: binDirs, config }, signal);
  };

  const del: CniNetwork['del'] = async (list, attachment, previous, signal) => {
    // Every plugin gets what ADD returned in the end, last plugin first.
    const extra = { prevResult: isAtLeast(list.cniVersion, '0.4.0') ? previous : undefined };
    const failures: unknown[] = [];
    for (const plugin of list.plugins.toReversed()) {
      const input = { ...extra, capabilityArgs: attachment.capabilityArgs };
      // One that refuses must not keep the others from giving back what they gave.
      await call('DEL', attachment, renderPluginInput(list, plugin, input), signal).catch((error: unknown) =>
        failures.push(error),
      );
    }
    if (failures.length === 1) throw failures[0];
    if (failures.length > 1) throw new AggregateError(failures, failures.map(describeError).join('; '));
  };

  return {
    async add(list, attachment, signal, onResult) {
      let result: CniResult | undefined;
      try {
        for (const plugin of list.plugins) {
          if (result !== undefined) await onResult?.(result);
          const input = { prevResult: result, capabilityArgs: attachment.capabilityArgs };
          const document = await call('ADD', attachment, renderPluginInput(list, plugin, input), signal);
          result = document === undefined ? (result ?? emptyResult) : parseResult(document);
        }
        return result ?? emptyResult;
      } catch (error) {
        await undoAdd(() => del(list, attachment, result, timeoutSignal(undoTimeoutMs)), error);
        throw error;
      }
    },
    del,
    async check(list, attachment, previous, signal) {
      if (list.disableCheck || !isAtLeast(list.cniVersion, '0.4.0')) return;
      for (const plugin of list.plugins) {
        const input = { prevResult: previous, capabilityArgs: attachment.capabilityArgs };
        await call('CHECK', attachment, renderPluginInput(list, plugin, input), signal);
      }
    },
    async gc(list, validAttachments, signal) {
      if (list.disableGc || !isAtLeast(list.cniVersion, '1.1.0')) return;
      const failures: unknown[] = [];
      for (const plugin of list.plugins) {
        const input = renderPluginInput(list, plugin, { validAttachments });
        await call('GC', nobody, input, signal).catch((error: unknown) => failures.push(error));
      }
      if (failures.length > 0) throw new AggregateError(failures, `collect garbage of network ${list.name}`);
    },
    async status(list, signal) {
      if (!isAtLeast(list.cniVersion, '1.1.0')) return;
      for (const plugin of list.plugins)
        await call('STATUS', nobody, renderPluginInput(list, plugin), signal);
    },
  };
}

const nobody: Attachment = { containerId: '', netns: '', ifname: '', args: {}, capabilityArgs: {} };

async function undoAdd(undo: () => Promise<void>, error: unknown): Promise<void> {
  try {
    await undo();
  } catch (undoError) {
    const { code, message } = failureOf(error);
    const both = `${message}; and taking it down again: ${describeError(undoError)}`;
    throw new PodwrightError(code, both, { cause: new SuppressedError(undoError, error) });
  }
}
