import { parseLinkConfig, type LinkConfig } from '#cni-plugins/skel/link-config.ts';
import { requireIps } from '#cni-plugins/skel/link-plan.ts';
import { createMadeLinkPlugin, type MadeLink } from '#cni-plugins/skel/made-link.ts';
import type { CniPlugin } from '#cni-plugins/skel/plugin.ts';

/** A link that leads nowhere, for an address. */
export const madeDummy: MadeLink<LinkConfig> = {
  name: 'dummy',
  kind: 'dummy',
  looks: false,
  parse: parseLinkConfig,
  linkOf: ({ ipam }) => {
    requireIps('dummy', ipam);
    return { link: { kind: 'dummy' } };
  },
};

export const dummy: CniPlugin = createMadeLinkPlugin(madeDummy);
