"""Pictures and clips out of bare git mirrors of public repositories, by the table `train/data/sources.csv`."""
