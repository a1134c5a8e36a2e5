/**
 * Whole clusters of what few have, floods, campaigns of kills, and what builders of images do, tens of seconds each: `npm test` runs those of one of five
 * days, CI another set each day. A change of what they are about names them on its command line, which runs them on any day, as PODWRIGHT_ALL=1 does.
 */
const byDay: readonly (readonly string[])[] = [
  [
    'test/cluster/families.test.ts',
    'test/cluster/trace.test.ts',
    'test/cluster/devices.test.ts',
    'test/cluster/csi.test.ts',
    'test/cluster/join.test.ts',
    'test/cluster/refusals.test.ts',
    'test/attack/bounds.test.ts',
  ],
  [
    'test/cluster/cloud-controller.test.ts',
    'test/cluster/replaced.test.ts',
    'test/cluster/kill.test.ts',
    'test/cluster/fast-path.test.ts',
    'test/cluster/load-balancer.test.ts',
    'test/attack/kill-campaign.test.ts',
    'test/attack/lane.test.ts',
  ],
  [
    'test/cluster/outside.test.ts',
    'test/cluster/proxy-modes.test.ts',
    'test/cluster/device-claims.test.ts',
    'test/cluster/autoscaler.test.ts',
    'test/cluster/hostile.test.ts',
    'test/cluster/virtual-address.test.ts',
    'test/attack/shared-campaign.test.ts',
    'bin/install/install.test.ts',
  ],
  [
    'test/cluster/fabric.test.ts',
    'test/cluster/rolling/rolling.test.ts',
    'test/cluster/way-out.test.ts',
    'test/cluster/pod-fields.test.ts',
    'agent/proxy/proxy.linux.test.ts',
    'agent/runtime/images/quirks/layer-quirks.test.ts',
    'agent/runtime/cri/validate.kernel.test.ts',
    'bin/oci/runtime.kernel.test.ts',
    'test/package/package.test.ts',
    'test/package/kill-campaign.test.ts',
  ],
  [
    'test/cluster/images.test.ts',
    'test/cluster/runtime-class.test.ts',
    'test/cluster/ownership.test.ts',
    'agent/runtime/handlers/handlers.kernel.test.ts',
    'bin/setup/entry.test.ts',
    'test/scale/run.test.ts',
  ],
];

const dayMs = 86_400_000;

/** Of many that ask the same of one mechanism those whose turn it is: each once in so many days; all of them by PODWRIGHT_ALL=1. */
export function ofToday<Item>(
  items: readonly Item[],
  days: number,
  nowMs: number = Date.now(),
): readonly Item[] {
  if (process.env['PODWRIGHT_ALL'] === '1') return items;
  const today = Math.floor(nowMs / dayMs);
  return items.filter((_, at) => (at + today) % days === 0);
}

/** Files that another day runs; none where some are asked for by name, as arguments that are no options. */
export function filesOfOtherDays(
  nowMs: number,
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): readonly string[] {
  const isNamed = args.some((arg) => !arg.startsWith('-') && arg !== 'run' && arg !== 'watch');
  if (isNamed || environment['PODWRIGHT_ALL'] === '1') return [];
  const today = Math.floor(nowMs / dayMs) % byDay.length;
  return byDay.flatMap((files, day) => (day === today ? [] : files));
}
