/** What machines images are for: the platform objects of OCI (image-index.md), and which of them run where, as containerd's platforms.Only has it. */
import { PodwrightError } from '#base/errors.ts';
import { shortened } from './document.ts';

/** As in a platform object of an index: Go's GOOS and GOARCH names. */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant: string | undefined;
}

/** Names of others for an architecture (uname, Debian), with the variant that they mean. */
const architectures: Readonly<Record<string, readonly [architecture: string, variant?: string]>> = {
  x86_64: ['amd64'],
  'x86-64': ['amd64'],
  i386: ['386'],
  i686: ['386'],
  aarch64: ['arm64'],
  armhf: ['arm', 'v7'],
  armel: ['arm', 'v6'],
};

/** Variants that say nothing that their absence does not. */
const plainVariants: Readonly<Record<string, string>> = { amd64: 'v1', arm64: 'v8', arm: 'v7' };

/** As `linux/arm64`, in one form of the several that mean it. */
function normalised({ os, architecture, variant }: Platform): Platform {
  const name = architecture.toLowerCase();
  const [known, meant] = architectures[name] ?? [name];
  const given = (variant ?? '').toLowerCase().replace(/^(?=\d)/, 'v') || meant || undefined;
  return {
    os: os.toLowerCase(),
    architecture: known,
    variant: given === plainVariants[known] ? undefined : given,
  };
}

/** The platform of a machine, from Node's `process.arch`; `flags` of an x86 processor say which level it is of. */
export function platformOf(nodeArchitecture: string, flags: ReadonlySet<string> = new Set()): Platform {
  const architecture = { x64: 'amd64', ia32: '386' }[nodeArchitecture] ?? nodeArchitecture;
  const variant = architecture === 'amd64' ? levelOf(flags) : architecture === 'arm64' ? 'v8' : undefined;
  return { os: 'linux', architecture, variant };
}

/** Of the x86-64 psABI, by the names of /proc/cpuinfo; each takes in those before it. */
const levels: readonly (readonly [level: string, flags: string])[] = [
  ['v2', 'cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3'],
  ['v3', 'avx avx2 bmi1 bmi2 f16c fma abm movbe xsave'],
  ['v4', 'avx512f avx512bw avx512cd avx512dq avx512vl'],
];

function levelOf(flags: ReadonlySet<string>): string | undefined {
  const missing = levels.findIndex(([, needed]) => !needed.split(' ').every((flag) => flags.has(flag)));
  const [level] = levels.slice(0, missing < 0 ? levels.length : missing).at(-1) ?? [];
  return level;
}

/** What a machine runs, best first: its own, without the variants that containerd does not choose by, and then those that it also can. */
function runnable(machine: Platform): readonly Platform[] {
  const { os, architecture, variant } = normalised(machine);
  const of = (each: string, variants: readonly (string | undefined)[]): readonly Platform[] =>
    variants.map((own) => ({ os, architecture: each, variant: own }));
  const arm = [undefined, 'v6', 'v5'];
  switch (architecture) {
    case 'amd64': {
      const level = Number(variant?.slice(1) ?? 1);
      const levelsBelow = ['v4', 'v3', 'v2'].filter((each) => Number(each.slice(1)) <= level);
      return [...of('amd64', [undefined, ...levelsBelow]), ...of('386', [undefined])];
    }
    case 'arm64':
      return [...of('arm64', [undefined]), ...of('arm', ['v8', ...arm])];
    case 'arm':
      return of('arm', variant === undefined ? arm : arm.slice(Math.max(0, arm.indexOf(variant))));
    default:
      return of(architecture, [variant]);
  }
}

/** How well an image suits a machine: 0 is best; undefined where it does not run. */
export function rankPlatform(offered: Platform, machine: Platform): number | undefined {
  const own = normalised(offered);
  const rank = runnable(machine).findIndex(
    (each) => each.os === own.os && each.architecture === own.architecture && each.variant === own.variant,
  );
  return rank < 0 ? undefined : rank;
}

/** Whether it says nothing: builders leave it out, or write it empty. */
export function isUnnamed(platform: Platform | undefined): boolean {
  return platform === undefined || (platform.os === '' && platform.architecture === '');
}

export function formatPlatform({ os, architecture, variant }: Platform): string {
  return `${os}/${architecture}${variant === undefined ? '' : `/${variant}`}`;
}

export function platformError(
  image: string,
  offered: readonly Platform[],
  machine: Platform,
): PodwrightError {
  const offers = [...new Set(offered.filter((each) => !isUnnamed(each)).map(formatPlatform))];
  const has = offers.length === 0 ? 'no platform' : offers.join(', ');
  const { os, architecture } = machine;
  return new PodwrightError(
    'E_INVALID',
    `use image ${shortened(image)}: it is for ${shortened(has)}, this machine is ${os}/${architecture}`,
    { detail: { reason: 'platform' } },
  );
}
