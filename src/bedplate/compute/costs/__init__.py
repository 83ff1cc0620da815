"""What device time costs: money by the user's prices, energy by measured or rated power, units for comparing types."""
