import { isPodwrightError, PodwrightError } from '#base/errors.ts';
import { shellWord } from '#base/shell-word.ts';
import { type Claim, claimDirectory } from '#bin/ownership/claim-directory.ts';
import { findLauncher } from './end-launcher.ts';
import { readState } from './state.ts';

/** Names the descriptor that a detached `up` gets its claim by. */
const claimVariable = 'PODWRIGHT_CLAIM_FD';

export interface UpClaim extends Disposable {
  /** The directory was made for this cluster and had nothing in it before. */
  readonly isNew: boolean;
  readonly fd: number;
}

/**
 * Takes the data directory before anything in it is opened; only one `up` has it at a time. Others may pass through to the
 * kubeconfig, where it is theirs; everything else in it is root's.
 * @throws E_BUSY and what claimDirectory throws
 */
export async function claimDataDir(dataDir: string, environment: NodeJS.ProcessEnv): Promise<UpClaim> {
  const inherited = Number(environment[claimVariable]);
  delete environment[claimVariable];
  if (Number.isInteger(inherited) && inherited > 2) {
    return { isNew: false, fd: inherited, [Symbol.dispose]: () => undefined };
  }
  let claim: Claim;
  try {
    claim = claimDirectory(dataDir, { role: 'up', mode: 0o711, option: '--data' });
  } catch (error) {
    if (isPodwrightError(error, 'E_BUSY')) throw await busyError(dataDir);
    throw error;
  }
  return claim;
}

export const claimEnvironment = (fd: number): Readonly<Record<string, string>> => ({
  [claimVariable]: String(fd),
});

async function busyError(dataDir: string): Promise<PodwrightError> {
  const state = await readState(dataDir).catch(() => undefined);
  const launcher = findLauncher(dataDir, state);
  const who = launcher === undefined ? '' : ` as pid ${launcher.pid}`;
  return new PodwrightError(
    'E_BUSY',
    `start a cluster in ${dataDir}: podwright up runs there${who}; stop it with podwright down --data ${shellWord(dataDir)}, or choose another directory with --data`,
  );
}
