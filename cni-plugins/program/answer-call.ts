/** A call of one of our programs, answered in this process: by the program itself, or by a resident that it was handed to. */
import { statSync } from 'node:fs';
import { basename } from 'node:path';
import { cniError, cniErrorCode } from '#api/cni/cni-error.ts';
import type { CniInvoker } from '#api/cni/invocation.ts';
import type { Netlink } from '#native/netlink/netlink.ts';
import type { Nft } from '#native/nft/nft.ts';
import { createPluginRegistry } from '#cni-plugins/registry.ts';
import { dispatch, renderFailure, runPlugin, type PluginOutput } from '#cni-plugins/skel/dispatch.ts';
import type { CniPlugin, PluginHost } from '#cni-plugins/skel/plugin.ts';
import { findProgram, invokeProgram } from '#cni-plugins/skel/run-program.ts';

export interface ProgramCall {
  /** The file that was run: its name is the plugin's type, its directory holds our other programs. */
  readonly program: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin: string;
}

export interface ProgramPorts {
  readonly netlink: Netlink;
  readonly nft: Nft;
}

const registry = createPluginRegistry();

/** Never fails: what went wrong is in the answer. */
export async function answerCall(
  call: ProgramCall,
  ports: ProgramPorts,
  signal: AbortSignal,
): Promise<PluginOutput> {
  const type = basename(call.program);
  const plugin = registry.get(type);
  if (plugin === undefined) {
    const known = [...registry.keys()].join(', ');
    const message = `run ${call.program}: no plugin of ours is called ${type}; there are ${known}`;
    return renderFailure(cniError(cniErrorCode.invalidEnvironment, message));
  }
  return runPlugin(plugin, call, () => hostOf(call.program, ports), signal);
}

/** Other plugins are what CNI_PATH says; those that are this very program by another name are called in this process. */
function hostOf(program: string, ports: ProgramPorts): PluginHost {
  const invoke: CniInvoker = async (type, invocation, signal) => {
    const other = ownPlugin(program, await findProgram(type, invocation.path), type);
    if (other === undefined) return invokeProgram(type, invocation, signal);
    return dispatch(other, invocation, host, signal);
  };
  const host = { ...ports, invoke, isNetnsRemovedByCaller: false };
  return host;
}

/** Programs of ours are links to one file: somebody may have put another's host-local in its place since. */
function ownPlugin(program: string, found: string, type: string): CniPlugin | undefined {
  const plugin = registry.get(type);
  if (plugin === undefined) return undefined;
  const [own, other] = [program, found].map((path) => statSync(path, { throwIfNoEntry: false }));
  const isSame = own !== undefined && own.ino === other?.ino && own.dev === other.dev;
  return isSame ? plugin : undefined;
}
