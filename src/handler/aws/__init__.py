"""What AWS's answers mean, whatever the job."""
