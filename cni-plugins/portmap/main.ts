import { runPluginProcess } from '#cni-plugins/skel/main.ts';
import { portmap } from './portmap.ts';

await runPluginProcess(portmap);
