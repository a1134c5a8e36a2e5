import { PodwrightError } from '#base/errors.ts';

/**
 * The variables of an env file (KEP-3721): `NAME='value'` with anything but a quote between the quotes, newlines too; lines
 * that begin with # and empty ones are passed over. Nothing else is taken, so that no shell would read it otherwise. Pure.
 * Source: https://kubernetes.io/docs/tasks/inject-data-application/define-environment-variable-via-file/#env-file-syntax
 * @throws {E_INVALID} with the number of the line
 */
export function parseEnvFile(text: string): ReadonlyMap<string, string> {
  const variables = new Map<string, string>();
  const piece = /[ \t]*(?:#[^\n]*|([A-Za-z_][A-Za-z0-9_]*)[ \t]*=[ \t]*'([^']*)'[ \t]*|)\r?(?:\n|$)/y;
  while (piece.lastIndex < text.length) {
    const start = piece.lastIndex;
    const match = piece.exec(text);
    if (match === null) {
      const line = text.slice(0, start).split('\n').length;
      throw new PodwrightError('E_INVALID', `parse env file: line ${line} is not NAME='value'`);
    }
    const [, name, value] = match;
    if (name !== undefined) variables.set(name, value ?? '');
  }
  return variables;
}
