"""AWS in memory for tests: EC2 as it is documented, and the services beside it, over a real socket."""

from tools.ec2_emulator.clock import ManualClock, system_clock
from tools.ec2_emulator.emulator import Emulator

__all__ = ["Emulator", "ManualClock", "system_clock"]
