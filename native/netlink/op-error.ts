import { errnoOf, isPodwrightError, PodwrightError } from '#base/errors.ts';
import type { NetOp } from './netlink.ts';
import { renderNetOp } from './render.ts';

/** Adds which op it was. Errors keep their code; what is no error of ours or the kernel's passes. */
export function opError(error: unknown, op: NetOp, index: number): unknown {
  if (!isPodwrightError(error)) return error;
  const text = renderNetOp(op);
  const message = error.message.startsWith(text) ? error.message : `${text}: ${error.message}`;
  return new PodwrightError(error.code, message, {
    detail: { ...error.detail, index, op: op.op, errno: errnoOf(error) },
    cause: error.cause,
  });
}
