import { isPodwrightError, PodwrightError } from '#base/errors.ts';
import { statusNameOf, type StatusName } from '#proto/status.ts';
import { saidBy } from './cri-streams.ts';

/** gRPC's names of codes as Go writes them, which people know from events of kubelets: `NotFound`. */
function goName(name: StatusName): string {
  return name === 'OK'
    ? name
    : name.toLowerCase().replace(/(?:^|_)([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** What a runtime said to a call, in the kubelet's words; what is no answer of a runtime is as it was. Pure. */
export function rpcError(error: unknown): unknown {
  if (!isPodwrightError(error) || error.detail['status'] === undefined) return error;
  const text = `rpc error: code = ${goName(statusNameOf(error))} desc = ${saidBy(error)}`;
  return new PodwrightError(error.code, text, { detail: error.detail, cause: undefined });
}

/** @throws rpcError of what it throws */
export async function saying<T>(call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    throw rpcError(error);
  }
}

export function isStatus(error: unknown, ...names: readonly StatusName[]): boolean {
  return isPodwrightError(error) && names.includes(statusNameOf(error));
}

/** What is not there any more was ended already. */
export async function orNone(call: Promise<unknown>): Promise<void> {
  try {
    await call;
  } catch (error) {
    if (!isStatus(error, 'NOT_FOUND')) throw error;
  }
}
