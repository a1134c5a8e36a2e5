import { PodwrightError } from '#base/errors.ts';

const modes = ['Node', 'RBAC', 'AlwaysAllow', 'AlwaysDeny', 'Authenticated'] as const;

/** How Kubernetes calls its authorizers (`--authorization-mode`), and one of our own: whoever said who they are may do everything. */
export type AuthorizationMode = (typeof modes)[number];

export const defaultModes: readonly AuthorizationMode[] = ['Node', 'RBAC'];

/** `Node,RBAC`, in the order of being asked. @throws E_USAGE for one that is not known, or given twice */
export function readModes(text: string): readonly AuthorizationMode[] {
  const given = text.split(',').map((mode) => mode.trim());
  for (const [index, mode] of given.entries()) {
    if (!isMode(mode)) {
      throw new PodwrightError('E_USAGE', `${JSON.stringify(mode)} is none of ${modes.join(', ')}`);
    }
    if (given.indexOf(mode) !== index) throw new PodwrightError('E_USAGE', `${mode} twice`);
  }
  return given.filter(isMode);
}

function isMode(mode: string): mode is AuthorizationMode {
  return modes.some((known) => known === mode);
}
