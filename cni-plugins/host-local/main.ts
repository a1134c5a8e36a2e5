import { runPluginProcess } from '#cni-plugins/skel/main.ts';
import { createHostLocal } from './host-local.ts';

await runPluginProcess(createHostLocal());
