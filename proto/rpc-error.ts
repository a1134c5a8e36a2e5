import { isPodwrightError, PodwrightError } from '#base/errors.ts';
import { statusNameOf, type StatusName } from './status.ts';

/** `Internal`, `DeadlineExceeded`: as everything written in Go names them. */
export function goName(status: StatusName): string {
  if (status === 'OK') return status;
  if (status === 'CANCELLED') return 'Canceled';
  return status
    .toLowerCase()
    .split('_')
    .map((word) => `${word[0]?.toUpperCase() ?? ''}${word.slice(1)}`)
    .join('');
}

/** What a driver said, in words of a kubelet's and a sidecar's events. */
export function describeCall(error: unknown): string {
  if (!isPodwrightError(error) || typeof error.detail['details'] !== 'string')
    return error instanceof Error ? error.message : String(error);
  return `rpc error: code = ${goName(statusNameOf(error))} desc = ${error.detail['details']}`;
}

/** The error that people see; with nothing before it where `what` is empty. */
export function callFailure(what: string, error: unknown): PodwrightError {
  const code = isPodwrightError(error) ? error.code : 'E_CONNECTION';
  const said = describeCall(error);
  return new PodwrightError(code, what === '' ? said : `${what}: ${said}`, {
    detail: isPodwrightError(error) ? error.detail : {},
  });
}
