import { InvalidArgumentError, Option } from 'commander';
import { fabricKinds, parseFabric } from '#agent/network/fabric/settings.ts';

/** `--fabric vxlan,port=4789`. Its value is the text as it was written: nodes are told the same. */
export function fabricOption(what: string): Option {
  return new Option(
    '--fabric <kind>',
    `${what}: ${fabricKinds.join(', ')}, with what follows after commas: port=, vni=, mtu=, direct-routing=true`,
  ).argParser((text) => {
    const parsed = parseFabric(text);
    if ('problem' in parsed) throw new InvalidArgumentError(parsed.problem);
    return text;
  });
}
